"""The broadcast engine: an audience of any size, asked in parts, each person in one final state."""

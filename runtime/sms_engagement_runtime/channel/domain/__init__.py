"""Rules of the channel: standard library only, no clock, no network, no environment."""

"""Lambda handlers of the channel."""

"""The embedded cloud: MiniStack, a carrier simulator and a phone in the browser."""

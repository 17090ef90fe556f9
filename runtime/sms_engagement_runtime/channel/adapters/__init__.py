"""Adapters of the channel: its ports on AWS services and libraries. They hold no rules."""

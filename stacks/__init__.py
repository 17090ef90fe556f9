"""Stages and stacks of this app; not in the wheel."""

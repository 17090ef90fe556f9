"""Rules of the analytics pipeline: standard library only."""

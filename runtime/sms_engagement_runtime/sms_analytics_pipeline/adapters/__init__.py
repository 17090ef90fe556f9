"""AWS behind the ports of the analytics pipeline."""

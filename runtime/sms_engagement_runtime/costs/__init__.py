"""What a month costs, before the first text: what was measured, for given volumes and prices."""

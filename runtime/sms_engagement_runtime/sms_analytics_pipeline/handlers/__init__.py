"""Lambda functions of the analytics pipeline."""

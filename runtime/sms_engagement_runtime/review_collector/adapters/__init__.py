"""The ports of review collecting, implemented on AWS services."""

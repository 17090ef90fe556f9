"""A phone per demo customer, in the browser."""

"""Tools of this repository, beside the product."""

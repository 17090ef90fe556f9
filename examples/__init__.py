"""Constructs of one file each, to copy: they use the product's public interface only."""

"""Prices, volumes and the bill; pure."""

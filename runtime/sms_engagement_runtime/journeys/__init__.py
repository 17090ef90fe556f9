"""Journeys: texts in an order, each when it is due, to whoever is still on the way."""

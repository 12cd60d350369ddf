"""Checks of a scenario beyond the types of its values."""

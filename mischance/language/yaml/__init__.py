"""Reads and writes YAML with the place of every value."""

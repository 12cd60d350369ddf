"""Reads and writes YAML with the position of every value."""

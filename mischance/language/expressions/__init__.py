"""Arithmetic expressions over floats and columns; never `eval`."""

"""Arithmetic expressions over floats and arrays, without `eval`."""

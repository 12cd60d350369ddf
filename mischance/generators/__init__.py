"""Generators: learn from rows and sample more."""

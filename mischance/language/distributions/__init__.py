"""Distributions of scenario values; their arguments may be distributions."""

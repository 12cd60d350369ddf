"""Distributions as values whose arguments may be distributions."""

"""Agents: systems under test that come in the box."""

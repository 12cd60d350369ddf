"""Worlds: one file (or folder) each. SimPy says when things happen, physics says how they look."""

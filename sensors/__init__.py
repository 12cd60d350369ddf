"""Sensors: how instruments report the truth, and how they fail."""

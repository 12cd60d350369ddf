"""Sensors: readings of the truth, with instrument errors and faults."""

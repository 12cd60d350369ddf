"""Tests of `mischance.estimate`."""

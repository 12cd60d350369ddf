"""Agents: reference drivers, and external programs, as systems under test."""

"""Exporters: formats that are written from a finished dataset."""

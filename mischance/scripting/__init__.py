"""Layer 6: mischance from Python programs and notebooks: scenarios that sweep, datasets that show themselves."""

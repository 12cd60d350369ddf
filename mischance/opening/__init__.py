"""Layer 5: reads datasets."""

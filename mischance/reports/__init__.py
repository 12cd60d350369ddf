"""Layer 5: pictures and pages of datasets."""

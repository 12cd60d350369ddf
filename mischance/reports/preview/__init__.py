"""One picture of a dataset."""

"""Layer 1: all that a plug-in may import: tables, scenes, runs, protocols, randomness, labels."""

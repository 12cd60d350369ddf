"""Layer 4: probabilities of events, with intervals."""

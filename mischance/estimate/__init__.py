"""Layer 4: probabilities of events and their intervals."""

"""Layer 1, domain library: criticality measures, braking and rules of driving, for the road world and its agents."""

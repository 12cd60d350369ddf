"""Layer 1, domain library: criticality measures, braking and rules of driving, shared by the road and its agents."""

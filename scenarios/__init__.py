"""The scenario library: one YAML file a situation, one folder a domain."""

"""Layer 2: the scenario language, from YAML text to a typed `Scenario`."""

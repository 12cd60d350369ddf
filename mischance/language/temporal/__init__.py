"""Requirements in signal temporal logic: grammar, robustness, explanation."""

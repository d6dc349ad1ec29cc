"""Studies: many fits of one model, or of many simulated tables."""

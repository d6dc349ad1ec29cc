"""What users hold: a model, the builders that make one, and a fit."""

"""The model, without a table: families, priors, groupings, formulas, and their TOML."""

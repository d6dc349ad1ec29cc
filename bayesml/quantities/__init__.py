"""Arithmetic of multilevel models: arrays in, arrays out; no labels, no engine."""

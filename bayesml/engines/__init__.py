"""Engines draw from the posterior of a PyMC model; nothing here knows what the model is about."""

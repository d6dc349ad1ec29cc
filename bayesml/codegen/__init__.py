"""From a resolved specification to PyMC source text and to an equation."""

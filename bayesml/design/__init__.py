"""From a specification and a table to a resolved specification and arrays."""

"""What the commands of `bayesml` do; their arguments are described in `bayesml.cli`."""

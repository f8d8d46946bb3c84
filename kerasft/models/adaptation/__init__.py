"""Which weights of a model are trained, and how fast: `model.adaptation`."""

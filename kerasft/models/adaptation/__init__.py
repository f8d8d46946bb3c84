"""Which weights of a model learn, and how fast: `model.adaptation`."""

"""Training: `compile` and `fit`, callbacks, checkpoints."""

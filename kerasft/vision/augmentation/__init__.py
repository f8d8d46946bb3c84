"""Training pictures varied at random, the same for the same seed, epoch and index."""

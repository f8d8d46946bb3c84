"""Random augmentation of training pictures, reproducible by seed, epoch and index."""

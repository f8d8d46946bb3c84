"""Functions of (predictions, references), with confidence intervals; NumPy only."""

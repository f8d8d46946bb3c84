"""Functions of (predictions, references), with intervals; NumPy alone."""

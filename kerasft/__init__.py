"""kerasft: from raw data to a served model in Keras."""

__version__ = "0.1.0"

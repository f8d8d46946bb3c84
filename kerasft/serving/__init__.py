"""Raw input in, answers out."""

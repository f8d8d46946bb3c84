"""compile + fit, and all that is kept of it."""

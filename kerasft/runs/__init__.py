"""The run folder, its records and its lock."""

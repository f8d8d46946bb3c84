"""What a config is, whatever is in it."""

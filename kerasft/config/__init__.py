"""Configs in general: loading, line numbers, overrides and error messages."""

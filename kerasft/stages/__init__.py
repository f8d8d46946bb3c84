"""The commands as functions: one module for each."""

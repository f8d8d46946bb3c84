"""The commands, progress bars and tables; the only folder that prints or exits."""

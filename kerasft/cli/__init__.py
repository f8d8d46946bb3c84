"""The commands, progress and tables; the only room that prints or exits."""

"""Picture files: format, completeness, reading."""

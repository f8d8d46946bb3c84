"""kerasft from Python: the stages as functions, on examples in memory as well as files."""

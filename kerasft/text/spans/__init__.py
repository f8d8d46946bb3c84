"""From words to tags, from tags to spans: schemes, units, windows, the best sequence of tags."""

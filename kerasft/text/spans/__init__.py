"""Words, tags and spans: tagging schemes, units, windows, and Viterbi decoding."""

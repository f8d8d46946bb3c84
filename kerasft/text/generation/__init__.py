"""Writing text with a causal language model: sampling, the loop over tokens, and what stops it."""

"""Decoders: nets that predict the next token, from presets or from sizes, fast to train and to generate with."""

"""Masked language models: learning from raw text by telling the tokens behind masks."""

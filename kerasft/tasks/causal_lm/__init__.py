"""Causal language models: learning to continue texts, prompts and conversations, token by token."""

"""The special tokens of a tokenizer, as they are spelled."""

from __future__ import annotations

from typing import Any

from kerasft.text.tokenizers.base import ABSENT

_NAMES = {"bos_token": "begin", "eos_token": "end", "pad_token": "padding", "unk_token": "unknown"}
"""Hugging Face's name → ours in `SpecialIds`."""


def list_special_tokens(tokenizer: Any) -> dict[str, int]:
    """Each special token's spelling and its id. No text becomes one of these ids.

    Args:
        tokenizer: of a vocabulary with `special` ids, or of characters.
    """
    vocabulary = tokenizer.vocabulary
    if hasattr(vocabulary, "characters"):
        from kerasft.text.tokenizers.characters import SPECIALS

        return {token: place for place, token in enumerate(SPECIALS)}
    pieces = vocabulary.tokens if hasattr(vocabulary, "tokens") else vocabulary.pieces
    bytes_of_text = set(getattr(vocabulary, "byte_ids", ())) if hasattr(vocabulary, "pieces") else set()
    found = {}
    for place in sorted(set(vocabulary.special) - bytes_of_text):
        piece = pieces[place]
        found[piece.decode("utf-8") if isinstance(piece, bytes) else piece] = place
    return found


def name_special_tokens(tokenizer: Any) -> dict[str, str]:
    """`bos_token`, `eos_token` and the like → how the tokenizer spells them; without those that it does not have."""
    spelled = {place: token for token, place in list_special_tokens(tokenizer).items()}
    ids = tokenizer.special_ids
    named = {name: getattr(ids, ours) for name, ours in _NAMES.items()}
    return {name: spelled[place] for name, place in named.items() if place != ABSENT and place in spelled}

"""Byte-level BPE out of a GGUF file's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kerasft.errors import PresetError
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.bpe_files import read_token
from kerasft.text.tokenizers.bpe_vocabulary import ByteBpeVocabulary
from kerasft.text.tokenizers.patterns import PatternName
from kerasft.text.tokenizers.reading import refuse

_PATTERNS: dict[str, PatternName] = {"gpt-2": "gpt2", "smollm": "smollm", "llama-bpe": "llama3"}
"""What `tokenizer.ggml.pre` says → the pattern."""
_NORMAL = 1
"""The type of a token that stands for bytes; all other types are special tokens."""
_PREFIX = "tokenizer.ggml."


def read_gguf_tokens(metadata: Mapping[str, Any]) -> ByteBpeVocabulary:
    """The vocabulary that a GGUF file's metadata describe.

    Args:
        metadata: its keys and values.

    Raises:
        PresetError: it is no byte-level BPE, or one that splits text in a way that kerasft does not follow.
        KeyError, TypeError, ValueError: a key is missing, or its value malformed.
    """
    known = f"byte-level BPE of the kinds {', '.join(_PATTERNS)}"
    kind, pattern = metadata.get(f"{_PREFIX}model"), metadata.get(f"{_PREFIX}pre")
    if kind != "gpt2":
        raise refuse(f"is {kind!r:.60}", known)
    if pattern not in _PATTERNS:
        raise refuse(f"splits text as {pattern!r:.60}", known)
    pieces, types = metadata[f"{_PREFIX}tokens"], metadata[f"{_PREFIX}token_type"]
    ids = {piece: place for place, piece in enumerate(pieces)}
    special = frozenset(place for place, kind in enumerate(types) if kind != _NORMAL)
    if len(types) != len(pieces):
        raise PresetError("The file does not say of each token what it is.")
    merges = [merge.split(" ") for merge in metadata[f"{_PREFIX}merges"]]
    return ByteBpeVocabulary(
        tokens=tuple(read_token(piece, place in special) for place, piece in enumerate(pieces)),
        merges=tuple((ids[first], ids[second]) for first, second in merges),
        special=special,
        pattern=_PATTERNS[pattern],
        begin=_read_id(metadata, "bos"),
        end=_read_id(metadata, "eos"),
        padding=_read_id(metadata, "padding"),
        unknown=_read_id(metadata, "unknown"),
        mask=_read_id(metadata, "mask"),
        # llama.cpp does these two for Llama 3, whatever else the file says
        adds_begin=bool(metadata.get(f"{_PREFIX}add_bos_token", _PATTERNS[pattern] == "llama3")),
        ignores_merges=_PATTERNS[pattern] == "llama3",
        adds_end=bool(metadata.get(f"{_PREFIX}add_eos_token", False)),
    )


def _read_id(metadata: Mapping[str, Any], name: str) -> int:
    return int(metadata.get(f"{_PREFIX}{name}_token_id", ABSENT))

"""Tokenizes texts of any length in parts, so that memory does not grow with the longest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from kerasft.text.tokenizers.base import Tokenizer

_PART_CHARACTERS = 1 << 16
_BATCH_CHARACTERS = 1 << 18
"""Characters of a text that are tokenized at once, and of all texts of a batch: memory grows with them."""


class LongTexts:
    """Texts → token ids, without special tokens, by the very ops that an export contains.

    Args:
        tokenizer: of the model.
    """

    def __init__(self, tokenizer: Tokenizer):
        import tensorflow as tf

        from kerasft.text.ops import compile_once

        self._tokenize = compile_once(tokenizer.tokenize, tf.TensorSpec((None,), tf.string))

    def tokenize(self, texts: Sequence[str]) -> Iterator[np.ndarray]:
        """int32 (tokens,) of each text; long ones are tokenized in parts."""
        waiting: list[np.ndarray] = []
        for ends_text, ids in self._tokenize_parts(texts):
            waiting.append(ids)
            if ends_text:
                yield np.concatenate(waiting) if len(waiting) > 1 else waiting[0]
                waiting = []

    def _tokenize_parts(self, texts: Sequence[str]) -> Iterator[tuple[bool, np.ndarray]]:
        """(whether its text ends with it, ids) of each part of the texts."""
        import tensorflow as tf

        parts = [
            (place + 1 == len(cut), part)
            for text in texts
            for cut in [split_text(text, _PART_CHARACTERS)]
            for place, part in enumerate(cut)
        ]
        for batch in _batch(parts):
            ids = self._tokenize(tf.constant([part.encode("utf-8", "replace") for _, part in batch]))
            rows = np.split(ids.values.numpy(), ids.row_splits.numpy()[1:-1])
            yield from zip((ends for ends, _ in batch), rows, strict=True)


def _batch(parts: Sequence[tuple[bool, str]]) -> Iterator[list[tuple[bool, str]]]:
    batch: list[tuple[bool, str]] = []
    size = 0
    for part in parts:
        batch.append(part)
        size += len(part[1])
        if size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def split_text(text: str, characters: int) -> list[str]:
    """A long text in parts whose tokens are those of the whole: cut before a blank between two letters.

    Where there is no such blank within the next characters, the part goes on until there is one.

    Args:
        text: any.
        characters: a part is cut at the first good place from here on.
    """
    parts, start = [], 0
    while len(text) - start > characters:
        place = start + characters
        while (place := text.find(" ", place)) >= 0:
            if place + 1 < len(text) and text[place - 1].isalpha() and text[place + 1].isalpha():
                break
            place += 1
        if place < 0:
            break
        parts.append(text[start:place])
        start = place
    return [*parts, text[start:]]

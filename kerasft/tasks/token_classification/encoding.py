"""Splits texts into windows, and chooses the window that answers each unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from kerasft.files import compute_fingerprint
from kerasft.text.encoding import INPUTS, UnitEncoder
from kerasft.text.spans.windows import cut_windows
from kerasft.text.tokenizers.base import UnitTokenizer


class Window(NamedTuple):
    """A piece of a text as a model takes it."""

    token_ids: np.ndarray
    """int32 (tokens,), [CLS] … [SEP]."""
    first_unit: int
    """The text's first unit that stands in it."""
    positions: np.ndarray
    """int32 (units,), where each unit's first piece stands."""


class EncodedText(NamedTuple):
    """One text."""

    places: np.ndarray
    """int32 (units, 2): where each begins and ends, in characters."""
    windows: list[Window]
    window: np.ndarray
    """int32 (units,): which window answers for each unit."""
    position: np.ndarray
    """int32 (units,): where its first piece stands in that window."""


class WindowEncoder:
    """Texts → windows.

    Args:
        tokenizer: of the model's preset.
        max_length: tokens a window may have, [CLS] and [SEP] included.
        overlap: how much of a window's length it shares with the next one, in [0, 0.5].
        inputs: what the model takes.
    """

    def __init__(
        self,
        tokenizer: UnitTokenizer,
        max_length: int,
        *,
        overlap: float,
        inputs: Sequence[str] = INPUTS,
    ):
        self._units = UnitEncoder(tokenizer, inputs)
        self.max_length = max_length
        self.overlap = int(max_length * overlap)

    @property
    def tokenizer(self) -> UnitTokenizer:
        """The ops, for an export."""
        return self._units.tokenizer

    @property
    def inputs(self) -> tuple[str, ...]:
        """What the model takes."""
        return self._units.inputs

    @property
    def fingerprint(self) -> str:
        """Changes when any text's windows could."""
        return compute_fingerprint([self._units.fingerprint, self.max_length, self.overlap])

    def encode(self, texts: Sequence[str]) -> list[EncodedText]:
        """The windows of each text, one at least."""
        return [self._cut(units) for units in self._units.encode(texts)]

    def _cut(self, units) -> EncodedText:
        cut = cut_windows(units.first_pieces, len(units.token_ids), self.max_length, self.overlap)
        windows = [
            Window(token_ids, int(first), 1 + units.first_pieces[first:end] - first_piece)
            for token_ids, first, end, first_piece in zip(
                self._units.frame(units.token_ids, cut),
                cut.first_units,
                cut.end_units,
                cut.first_pieces,
                strict=True,
            )
        ]
        position = 1 + units.first_pieces - cut.first_pieces[cut.unit_windows]
        return EncodedText(
            np.stack([units.start, units.end], 1).astype(np.int32),
            windows,
            cut.unit_windows.astype(np.int32),
            position.astype(np.int32),
        )

    def pad(self, token_ids: np.ndarray, lengths: np.ndarray) -> dict[str, np.ndarray]:
        """See `TextEncoder.pad`."""
        return self._units.pad(token_ids, lengths)

"""Batches of a masked language model: windows of documents to be measured, and packed rows to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.data.cache import Columns
from kerasft.data.feed import BatchMoment, Feed
from kerasft.errors import DataError
from kerasft.tasks.joined_windows import TARGETS, Windows, concatenate_windows, join_windows
from kerasft.text import encoding
from kerasft.text.masking import (
    NONE,
    Masked,
    Masker,
    Replacement,
    seed_by_content,
    seed_by_place,
)
from kerasft.text.packing import PackedRows, pack_best_fit

MEASURED_SHARE = 0.15
"""Share of the tokens that models are measured at: the same for all, whatever they were trained with."""
_HIDDEN = Replacement(mask=1.0, random=0.0)
"""What models are measured with."""
INPUTS = (*encoding.INPUTS, "position_ids", "mask_positions")


class Reference(NamedTuple):
    """What is true of a document."""

    tokens: int
    bytes: int


class _MaskedFeed(Feed):
    """Rows of tokens with masks, padded to the longest; and as many masked places in each, filled up with `NONE`."""

    _inputs: Sequence[str]
    """What the model takes, of `INPUTS`: Keras pairs what it is given with its inputs by their order, not by name."""
    _padding_id: int

    @property
    def signature(self) -> dict[str, Any]:
        return {name: tf.TensorSpec((None, None), tf.int32) for name in (*self._inputs, TARGETS)}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return {name: batch[name] for name in self._inputs}, batch[TARGETS]

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        found = [self._load(int(row), moment.epoch) for row in rows]
        places = max(1, *(len(masked.positions) for masked, _ in found))
        batch = {
            name: np.zeros((len(rows), places if name == "mask_positions" else width), np.int32)
            for name in INPUTS
        }
        targets = np.full((len(rows), places), NONE, np.int32)
        batch["token_ids"][:] = self._padding_id
        for place, (masked, lengths) in enumerate(found):
            tokens, count = len(masked.token_ids), len(masked.positions)
            batch["token_ids"][place, :tokens] = masked.token_ids
            batch["padding_mask"][place, :tokens] = np.repeat(np.arange(1, len(lengths) + 1), lengths)
            batch["position_ids"][place, :tokens] = np.concatenate([np.arange(length) for length in lengths])
            batch["mask_positions"][place, :count] = masked.positions
            targets[place, :count] = masked.targets
        return {**{name: batch[name] for name in self._inputs}, TARGETS: targets}

    def _load(self, row: int, epoch: int) -> tuple[Masked, Sequence[int]]:
        """A row with its masks, and the lengths of the pieces that it is made of."""
        raise NotImplementedError


class DocumentFeed(_MaskedFeed):
    """Windows of documents, measured at masks that follow from their tokens; a document's outputs come as one.

    Where a window holds masks already, these are what is asked for.

    Args:
        documents: columns `tokens` and `bytes`, a row a document.
        windows: columns `token_ids` (ragged) and `documents`, a row a window.
        masker: draws masks.
        inputs: of the model, some of `INPUTS`.
        padding_id: of the tokenizer.
        mask_id: where it stands in a window it is what is asked for.
        in_memory: whether these are a few texts.
    """

    def __init__(
        self,
        documents: Columns,
        windows: Columns,
        masker: Masker,
        *,
        inputs: Sequence[str],
        padding_id: int,
        mask_id: int,
        in_memory: bool = False,
    ):
        self._counts, self.windows, self._masker = documents, windows, masker
        self._inputs = tuple(inputs)
        self._padding_id, self._mask_id, self.in_memory = padding_id, mask_id, in_memory
        self._documents = np.asarray(windows.column("documents"))
        self._firsts = np.searchsorted(self._documents, np.arange(len(documents) + 1))

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def has_pieces(self) -> bool:
        return len(self.windows) > len(self._counts)

    def find_example(self, row: int) -> int:
        return int(self._documents[row])

    @property
    def lengths(self) -> np.ndarray:
        return self.windows.lengths("token_ids")

    def get_reference(self, example: int) -> Reference:
        return Reference(*(int(self._counts.column(name)[example]) for name in Reference._fields))

    def _load(self, row: int, epoch: int) -> tuple[Masked, Sequence[int]]:
        token_ids = self.windows.row("token_ids", row)
        asked = np.flatnonzero(token_ids == self._mask_id).astype(np.int32)
        if len(asked):
            return Masked(token_ids, asked, token_ids[asked]), [len(token_ids)]
        masked = self._masker.mask(token_ids, MEASURED_SHARE, seed_by_content(token_ids), _HIDDEN)
        return masked, [len(token_ids)]

    def join(
        self, batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]]
    ) -> Iterator[list[tuple[int, dict[str, Any]]]]:
        """What the model says at each mask of a document, in their order, as soon as its last window is there."""
        return join_windows(batches, self._firsts, self.find_example, self._put_together)

    def _put_together(self, document: int, windows: Windows) -> dict[str, Any]:
        rows = sorted(windows)
        counts = [len(windows[row][TARGETS]) for row in rows]
        return {
            **concatenate_windows(windows),
            "windows": np.repeat(np.arange(len(rows)), counts),
            "first_window": self.windows.row("token_ids", rows[0]),
            **self.get_reference(document)._asdict(),
        }


class PackedFeed(_MaskedFeed):
    """Rows of several documents' windows, which do not see each other; each epoch has other masks.

    Windows without a token of their document are left out: a document of invisible characters has such.

    Args:
        feed: of the documents.
        capacity: tokens of a row.
        frame: special tokens that each window has.
        masker: draws masks.
        seed: of the masks.
        share: of the tokens that are masked.
    """

    def __init__(
        self, feed: DocumentFeed, capacity: int, masker: Masker, *, frame: int, seed: int, share: float
    ):
        self._feed, self._masker, self._seed, self._share = feed, masker, seed, share
        self._inputs, self._padding_id = feed._inputs, feed._padding_id
        self._piece_lengths = feed.lengths
        pieces = np.flatnonzero(self._piece_lengths > frame)
        if not len(pieces):
            raise DataError(
                "the training texts contain nothing that the tokenizer has tokens for", where="data.train",
                fix="Name other files, or train the tokenizer on these.",
            )  # fmt: skip
        rows = pack_best_fit(self._piece_lengths[pieces], capacity)
        self._rows = PackedRows(pieces[rows.pieces], rows.splits)
        self._lengths = self._rows.add_up(self._piece_lengths)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> np.ndarray:
        return self._lengths

    def find_example(self, row: int) -> int:
        return self._feed.find_example(int(self._rows[row][0]))

    def _load(self, row: int, epoch: int) -> tuple[Masked, Sequence[int]]:
        pieces = self._rows[row]
        lengths = self._piece_lengths[pieces]
        token_ids = np.concatenate([self._feed.windows.row("token_ids", int(piece)) for piece in pieces])
        generator = seed_by_place(self._seed, epoch, row)
        starts = np.cumsum(lengths) - lengths
        return self._masker.mask(token_ids, self._share, generator, Replacement(), starts), lengths

"""Batches of a causal language model: windows of documents to be measured, and packed rows to learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.data.cache import Columns
from kerasft.data.feed import BatchMoment, Feed
from kerasft.errors import DataError
from kerasft.tasks.joined_windows import Windows, concatenate_windows, join_windows
from kerasft.tasks.token_losses import UNTAGGED
from kerasft.text.cuts import EpochCuts, count_windows
from kerasft.text.packing import pack_best_fit

INPUTS = ("token_ids", "text_ids", "position_ids", "targets")
"""What a model takes, each int32 (batch, tokens); see `kerasft.models.text.decoders.build`."""


class Reference(NamedTuple):
    """What is true of an example: how many of its tokens are predicted, and their bytes in UTF-8."""

    tokens: int
    bytes: int


class Stretch(NamedTuple):
    """A text, or a piece of one, in a row: both int32 (tokens,); a target is the token that follows."""

    token_ids: np.ndarray
    targets: np.ndarray


class _TokenFeed(Feed):
    """Rows of texts, padded to the longest."""

    padding_id: int

    @property
    def signature(self) -> dict[str, Any]:
        return {name: tf.TensorSpec((None, None), tf.int32) for name in INPUTS}

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return dict(batch), batch["targets"]

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        batch = {name: np.zeros((len(rows), width), np.int32) for name in INPUTS}
        batch["token_ids"][:] = self.padding_id
        batch["targets"][:] = UNTAGGED
        for place, row in enumerate(rows.tolist()):
            start = 0
            for number, stretch in enumerate(self._load(row, moment.epoch), 1):
                stop = start + len(stretch.token_ids)
                batch["token_ids"][place, start:stop] = stretch.token_ids
                batch["targets"][place, start:stop] = stretch.targets
                batch["text_ids"][place, start:stop] = number
                batch["position_ids"][place, start:stop] = np.arange(stop - start)
                start = stop
        return batch

    def _load(self, row: int, epoch: int) -> list[Stretch]:
        """The texts of a row."""
        raise NotImplementedError


class DocumentFeed(_TokenFeed):
    """Windows of examples, one after the other, in which each token but the first is predicted once.

    A window begins with the last token of the one before, so that the next can be predicted. An example's outputs come
    as one.

    Args:
        documents: columns `token_ids` (ragged), `tokens` and `bytes` (see `Reference`), and where not all tokens are
            predicted `asked` (ragged), 1 where they are; a row an example.
        context: tokens of a window.
        padding_id: of the tokenizer.
        in_memory: whether these are a few texts.
    """

    def __init__(self, documents: Columns, context: int, *, padding_id: int, in_memory: bool = False):
        self._documents, self._context = documents, context
        self.padding_id, self.in_memory = padding_id, in_memory
        self.predictions = np.maximum(documents.lengths("token_ids") - 1, 0)
        """int64 (examples,): tokens but the first."""
        counts = count_windows(self.predictions, context)
        self._firsts = np.concatenate([[0], np.cumsum(counts)])

    def __len__(self) -> int:
        return int(self._firsts[-1])

    @property
    def has_pieces(self) -> bool:
        return len(self) > len(self._documents)

    def find_example(self, row: int) -> int:
        return int(np.searchsorted(self._firsts, row, "right")) - 1

    @property
    def lengths(self) -> np.ndarray:
        lengths = np.full(len(self), self._context, np.int64)
        rests = self.predictions - (np.diff(self._firsts) - 1) * self._context
        # what has nothing to predict is one token wide all the same
        lengths[self._firsts[1:] - 1] = np.maximum(rests, 1)
        return lengths

    def get_reference(self, example: int) -> Reference:
        return Reference(*(int(self._documents.column(name)[example]) for name in Reference._fields))

    def load_stretch(self, example: int, start: int, stop: int) -> Stretch:
        """Predictions `start` to `stop` - 1 of an example."""
        token_ids = self._documents.row("token_ids", example)
        targets = token_ids[start + 1 : stop + 1]
        if self._documents.has("asked"):
            asked = self._documents.row("asked", example)[start + 1 : stop + 1]
            targets = np.where(asked, targets, UNTAGGED)
        return Stretch(token_ids[start:stop], targets)

    def _load(self, row: int, epoch: int) -> list[Stretch]:
        example = self.find_example(row)
        start = (row - int(self._firsts[example])) * self._context
        stop = min(start + self._context, int(self.predictions[example]))
        if stop == start:
            nothing = np.array([self.padding_id], np.int32), np.array([UNTAGGED], np.int32)
            return [Stretch(*nothing)]
        return [self.load_stretch(example, start, stop)]

    def join(
        self, batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]]
    ) -> Iterator[list[tuple[int, dict[str, Any]]]]:
        """What the model says of each predicted token of an example, in order, as soon as its last window is there."""
        return join_windows(batches, self._firsts, self.find_example, self._put_together)

    def _put_together(self, example: int, windows: Windows) -> dict[str, Any]:
        return {**concatenate_windows(windows), **self.get_reference(example)._asdict()}


class PackedFeed(_TokenFeed):
    """Rows of several examples, or pieces of them, which do not see each other; each epoch cuts at other places.

    Args:
        feed: of the examples.
        context: tokens of a row.
        seed: of the places.

    Raises:
        DataError: there is nothing to learn.
    """

    def __init__(self, feed: DocumentFeed, context: int, *, seed: int):
        self._feed, self.padding_id = feed, feed.padding_id
        self._cuts = EpochCuts(feed.predictions, context, seed=seed)
        if not len(self._cuts):
            raise DataError(
                "there is nothing to learn: no example has a token that could be predicted from another",
                where="data.train",
                fix="Check the warnings above: are all examples too long for model.context?",
            )
        self._rows = pack_best_fit(self._cuts.lengths, context)
        self._lengths = self._rows.add_up(self._cuts.lengths)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def lengths(self) -> np.ndarray:
        return self._lengths

    def find_example(self, row: int) -> int:
        return int(self._cuts.texts[self._rows[row][0]])

    def _load(self, row: int, epoch: int) -> list[Stretch]:
        return [
            self._feed.load_stretch(int(self._cuts.texts[piece]), start, stop)
            for piece in self._rows[row].tolist()
            for start, stop in self._cuts.cut(piece, epoch)
        ]

"""Batches of a token classifier: windows of texts; the outputs of a text are put together from its windows."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayRows, Columns
from kerasft.data.feed import BatchMoment, Feed
from kerasft.tasks.token_classification.encoding import EncodedText, WindowEncoder
from kerasft.tasks.token_classification.spans import Gold, Scores, TagSet, answer_units
from kerasft.tasks.token_losses import UNTAGGED


@dataclass
class Encoded:
    """Some examples as columns of two caches."""

    texts: dict[str, Any]
    """A row a text: its places, who answers for each of them, and how many entities the places cannot tell exactly."""
    windows: dict[str, Any]
    """A row a window."""


def encode_examples(
    encoder: WindowEncoder, tag_set: TagSet, examples: Sequence[Mapping[str, Any]], first: int
) -> Encoded:
    """Examples → columns. Pure.

    Where the data told words, each word's first unit alone carries its tag, in what is learned and in what is measured;
    a name behind an `@` would else teach that unknown names are no entities. Where they did not, each unit carries its
    own.

    Args:
        encoder: of texts.
        tag_set: the model's.
        examples: with `text`, `words` and `entities`.
        first: the number of the first of them in its split.
    """
    names = ("starts", "ends", "tags", "windows", "positions", "entities", "lost")
    texts: dict[str, Any] = {name: [] for name in names}
    windows: dict[str, Any] = {"token_ids": [], "labels": [], "examples": []}
    for number, (example, text) in enumerate(
        zip(examples, encoder.encode([example["text"] for example in examples]), strict=True), first
    ):
        entities = example["entities"]
        unit_tags = tag_set.tag_units(text.places, entities)
        found = {(start, end, kind) for start, end, kind, *_ in tag_set.read_tags(unit_tags, text.places)}
        places, answering = text.places, np.arange(len(text.places))
        if example["words"]:
            places = np.array(example["words"], np.int32)
            answering = _find_first_units(text.places, places)
        learned = np.full(len(text.places), UNTAGGED, np.int32)
        taught = answering[answering >= 0]
        learned[taught] = unit_tags[taught]
        for window in text.windows:
            labels = np.full(len(window.token_ids), UNTAGGED, np.int32)
            labels[window.positions] = learned[window.first_unit : window.first_unit + len(window.positions)]
            windows["token_ids"].append(np.asarray(window.token_ids, np.int32))
            windows["labels"].append(labels)
            windows["examples"].append(number)
        texts["starts"].append(places[:, 0].astype(np.int32))
        texts["ends"].append(places[:, 1].astype(np.int32))
        texts["tags"].append(tag_set.tag_units(places, entities))
        for name, values in (("windows", text.window), ("positions", text.position)):
            word_tags = np.asarray(values, np.int32)
            texts[name].append(
                np.where(answering >= 0, word_tags[answering], -1)
                if len(word_tags)
                else np.full(len(answering), -1, np.int32)
            )
        texts["entities"].append(np.array(entities, np.int32).reshape(-1))
        texts["lost"].append(0 if example["words"] else len(set(entities) - found))
    texts["lost"] = np.array(texts["lost"], np.int32)
    windows["examples"] = np.array(windows["examples"], np.int32)
    return Encoded(texts, windows)


class _WindowFeed(Feed):
    """Windows of texts, and each text's scores put together from its windows'.

    Args:
        texts, windows: columns of what `encode_examples` gave.
        encoder: pads.
        num_tags: of the model.
    """

    def __init__(self, texts: Columns, windows: Columns, encoder: WindowEncoder, num_tags: int):
        self._texts, self._windows, self._encoder, self._num_tags = texts, windows, encoder, num_tags
        self._examples = np.asarray(windows.column("examples"))
        self._firsts = np.searchsorted(self._examples, np.arange(len(texts) + 1))

    def __len__(self) -> int:
        return len(self._windows)

    @property
    def has_pieces(self) -> bool:
        return len(self._windows) > len(self._texts)

    def find_example(self, row: int) -> int:
        return int(self._examples[row])

    @property
    def lengths(self) -> np.ndarray:
        return self._windows.lengths("token_ids")

    @property
    def signature(self) -> dict[str, Any]:
        return {name: tf.TensorSpec((None, None), tf.int32) for name in self._encoder.inputs}

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        token_ids = self._windows.padded("token_ids", rows, width)
        return self._encoder.pad(token_ids, self._windows.lengths("token_ids")[rows])

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return {name: value for name, value in batch.items() if name != "label"}, batch.get("label")

    def join(
        self, batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]]
    ) -> Iterator[list[tuple[int, Scores]]]:
        """Each text's scores as soon as its last window is there; until then its other windows are kept."""
        lengths, waiting = self.lengths, defaultdict[int, dict[int, np.ndarray]](dict)
        for rows, kept in batches:
            found = []
            for row, values in zip(rows.tolist(), kept["logits"], strict=True):
                text = self.find_example(row)
                waiting[text][row] = values[: lengths[row]].copy()
                if len(waiting[text]) == self._firsts[text + 1] - self._firsts[text]:
                    found.append((text, self._answer(text, waiting.pop(text))))
            yield found

    def _answer(self, text: int, windows: Mapping[int, np.ndarray]) -> Scores:
        places = np.stack([self._texts.row("starts", text), self._texts.row("ends", text)], 1)
        stored, positions = (self._texts.row(name, text) for name in ("windows", "positions"))
        of_text = [windows[row] for row in sorted(windows)]
        return answer_units(places, stored, positions, of_text, self._num_tags)


class RawTokenFeed(_WindowFeed):
    """Batches of texts of which nothing is known, from memory.

    Args:
        encoded: the texts, each with its windows.
        encoder: pads.
        num_tags: of the model.
    """

    in_memory = True

    def __init__(self, encoded: Sequence[EncodedText], encoder: WindowEncoder, num_tags: int):
        texts = {
            "starts": [text.places[:, 0] for text in encoded],
            "ends": [text.places[:, 1] for text in encoded],
            "windows": [text.window for text in encoded],
            "positions": [text.position for text in encoded],
        }
        windows = [(number, window) for number, text in enumerate(encoded) for window in text.windows]
        columns: dict[str, Any] = {
            "token_ids": [np.asarray(window.token_ids, np.int32) for _, window in windows],
            "examples": np.array([number for number, _ in windows], np.int32),
        }
        super().__init__(ArrayRows(texts), ArrayRows(columns), encoder, num_tags)


class TokenFeed(_WindowFeed):
    """Batches of the model's inputs (`token_ids`, `padding_mask`, …), int32 (batch, tokens), and `label`, likewise,
    `UNTAGGED` where a token carries no tag; see `_WindowFeed`."""

    _seed: int | None = None

    def get_reference(self, example: int) -> Gold:
        return Gold(self._texts.row("tags", example), _group(self._texts.row("entities", example)))

    @property
    def signature(self) -> dict[str, Any]:
        return {**super().signature, "label": tf.TensorSpec((None, None), tf.int32)}

    def collate(self, rows: np.ndarray, width: int, moment: BatchMoment) -> dict[str, np.ndarray]:
        labels = self._windows.padded("labels", rows, width, UNTAGGED)
        if self._seed is not None:
            for row, tags in zip(rows, labels, strict=True):
                tagged = tags != UNTAGGED
                tags[tagged] = np.random.default_rng([self._seed, 1, row]).permutation(tags[tagged])
        return {**super().collate(rows, width, moment), "label": labels}

    def shuffle_labels(self, seed: int) -> TokenFeed:
        """Each window's tags in random order among its tokens."""
        shuffled = copy.copy(self)
        shuffled._seed = seed
        return shuffled


def _find_first_units(units: np.ndarray, words: np.ndarray) -> np.ndarray:
    """int (words,): the first unit that has a character of each word, and -1 where none has."""
    if not len(units):
        return np.full(len(words), -1)
    first = np.searchsorted(units[:, 1], words[:, 0], side="right")
    has_one = (first < len(units)) & (units[np.minimum(first, len(units) - 1), 0] < words[:, 1])
    return np.where(has_one, first, -1)


def _group(values: np.ndarray) -> tuple[tuple[int, int, int], ...]:
    rows = values.reshape(-1, 3).tolist()
    return tuple((start, end, kind) for start, end, kind in rows)

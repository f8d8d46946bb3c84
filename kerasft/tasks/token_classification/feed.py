"""A token classifier's batches: windows of encoded texts, and each text's answer put together from its windows."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from kerasft.data.cache import ArrayCache
from kerasft.data.feed import Feed, Moment
from kerasft.tasks.token_classification.encoding import WindowEncoder
from kerasft.tasks.token_classification.losses import UNTAGGED
from kerasft.tasks.token_classification.spans import Gold, TagSet, answer_units, collect


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
            told = np.asarray(values, np.int32)
            texts[name].append(
                np.where(answering >= 0, told[answering], -1)
                if len(told)
                else np.full(len(answering), -1, np.int32)
            )
        texts["entities"].append(np.array(entities, np.int32).reshape(-1))
        texts["lost"].append(0 if example["words"] else len(set(entities) - found))
    texts["lost"] = np.array(texts["lost"], np.int32)
    windows["examples"] = np.array(windows["examples"], np.int32)
    return Encoded(texts, windows)


class TokenFeed(Feed):
    """Batches of the model's inputs (`token_ids`, `padding_mask`, …), int32 (batch, tokens), and `label`, likewise,
    `UNTAGGED` where a token carries no tag.

    Args:
        texts, windows: caches of what `encode_examples` gave.
        encoder: pads.
        num_tags: of the model.
    """

    def __init__(self, texts: ArrayCache, windows: ArrayCache, encoder: WindowEncoder, num_tags: int):
        self._texts, self._windows, self._encoder, self._num_tags = texts, windows, encoder, num_tags
        self._seed: int | None = None
        self._examples = np.asarray(windows.column("examples"))

    def __len__(self) -> int:
        return len(self._windows)

    def find_example(self, row: int) -> int:
        return int(self._examples[row])

    @cached_property
    def references(self) -> np.ndarray:
        rows = [
            Gold(self._texts.row("tags", text), _group(self._texts.row("entities", text)))
            for text in range(len(self._texts))
        ]
        return collect(rows)

    @property
    def lengths(self) -> np.ndarray:
        return self._windows.lengths("token_ids")

    @property
    def signature(self) -> dict[str, Any]:
        return {name: tf.TensorSpec((None, None), tf.int32) for name in (*self._encoder.inputs, "label")}

    def collate(self, rows: np.ndarray, width: int, moment: Moment) -> dict[str, np.ndarray]:
        token_ids = self._windows.padded("token_ids", rows, width)
        batch = self._encoder.pad(token_ids, self._windows.lengths("token_ids")[rows])
        labels = self._windows.padded("labels", rows, width, UNTAGGED)
        if self._seed is not None:
            for row, tags in zip(rows, labels, strict=True):
                tagged = tags != UNTAGGED
                tags[tagged] = np.random.default_rng([self._seed, 1, row]).permutation(tags[tagged])
        return {**batch, "label": labels}

    def shuffle_labels(self, seed: int) -> TokenFeed:
        """Each window's tags in random order among its tokens."""
        shuffled = copy.copy(self)
        shuffled._seed = seed
        return shuffled

    def unpack(self, batch: Mapping[str, Any]) -> tuple[Any, Any]:
        return {name: value for name, value in batch.items() if name != "label"}, batch["label"]

    def assemble(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        windows: list[Any] = [None] * len(self)
        lengths = self.lengths
        for rows, values in batches:
            for row, value in zip(rows, values, strict=True):
                windows[row] = value[: lengths[row]].copy()
        firsts = np.searchsorted(self._examples, np.arange(len(self._texts) + 1))
        outputs = []
        for text in range(len(self._texts)):
            places = np.stack([self._texts.row("starts", text), self._texts.row("ends", text)], 1)
            of_text = windows[firsts[text] : firsts[text + 1]]
            told, positions = (self._texts.row(name, text) for name in ("windows", "positions"))
            outputs.append(answer_units(places, told, positions, of_text, self._num_tags))
        return collect(outputs)


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

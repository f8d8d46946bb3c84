"""What a new masked language model begins with: a tokenizer, and the net's sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasft.data.prepared import PreparedDataset, Split
from kerasft.errors import DataError
from kerasft.models.text.new_nets import TOKENIZERS, write_net_config
from kerasft.models.text.start_tokenizer import find_tokenizer_files, write_tokenizer
from kerasft.progress import Progress
from kerasft.text.tokenizers.vocabulary import load_vocabulary

_READ_AT_ONCE = 32


def write_start(config: Any, dataset: PreparedDataset, folder: Path, progress: Progress) -> None:
    """Writes a preset's folder without weights: tokenizer and config.json, in Hugging Face's form.

    Args:
        config: the experiment.
        dataset: on training split a new tokenizer is trained.
        folder: an empty one.
        progress: where to report.

    Raises:
        DataError: there is no training split.
    """
    if "train" not in dataset.splits:
        raise DataError("there is no training split", where="data.train", fix="Name training files.")
    write_tokenizer(config.tokenizer, TOKENIZERS, _Texts(dataset.split("train")), folder, progress)
    size = config.model.size
    write_net_config(
        folder,
        vocabulary_size=load_vocabulary(folder).size,
        layers=size.layers,
        width=size.width,
        heads=size.heads,
        feedforward=size.feedforward or 4 * size.width,
        max_length=config.model.max_length,
    )


def find_start_files(config: Any) -> list[Path]:
    """The files besides the data that `write_start` reads."""
    return find_tokenizer_files(config.tokenizer)


class _Texts:
    """A split's texts, as often as they are asked for."""

    def __init__(self, split: Split):
        self._split = split

    def __iter__(self) -> Iterator[str]:
        for examples in self._split.iterate(_READ_AT_ONCE):
            yield from (example["text"] for example in examples)

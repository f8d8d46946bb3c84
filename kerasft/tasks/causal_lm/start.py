"""What a new causal language model begins with: a tokenizer, and the net's sizes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasft.data.prepared import PreparedDataset, Split
from kerasft.errors import DataError
from kerasft.models.text.decoders.config import NEW_CONTEXT
from kerasft.models.text.decoders.new_nets import write_decoder_config
from kerasft.models.text.start_tokenizer import find_tokenizer_files, write_tokenizer
from kerasft.progress import Progress
from kerasft.text.tokenizers.loading import load_tokenizer

_TOKENIZERS = ("byte_bpe", "unigram", "characters")
_READ_AT_ONCE = 32


def write_start(config: Any, dataset: PreparedDataset, folder: Path, progress: Progress) -> None:
    """Writes a preset's folder without weights: the tokenizer and the net's sizes.

    Args:
        config: the experiment.
        dataset: on whose training split a new tokenizer is trained.
        folder: an empty one.
        progress: where to report.

    Raises:
        DataError: there is no training split.
    """
    if "train" not in dataset.splits:
        raise DataError("there is no training split", where="data.train", fix="Name training files.")
    names = [field.name for field in config.task.inputs]
    texts = _Texts(dataset.split("train"), names)
    write_tokenizer(config.tokenizer.settle(), _TOKENIZERS, texts, folder, progress)
    model, size = config.model, config.model.size
    write_decoder_config(
        folder,
        family=model.new_family,
        vocabulary_size=load_tokenizer(folder).vocabulary_size,
        layers=size.layers,
        width=size.width,
        heads=size.heads,
        kv_heads=size.kv_heads,
        feedforward=size.feedforward,
        context=model.choose_context(NEW_CONTEXT),
    )


def find_start_files(config: Any) -> list[Path]:
    """The files besides the data that `write_start` reads."""
    return find_tokenizer_files(config.tokenizer.settle())


class _Texts:
    """The texts of a split's examples, as often as they are asked for.

    Args:
        split: of the prepared dataset.
        names: the fields of an example that hold texts.
    """

    def __init__(self, split: Split, names: list[str]):
        self._split, self._names = split, names

    def __iter__(self) -> Iterator[str]:
        for examples in self._split.iterate(_READ_AT_ONCE):
            yield from (example[name] for example in examples for name in self._names)

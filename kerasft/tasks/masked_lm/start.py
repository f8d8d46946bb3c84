"""What a new masked language model begins with: a tokenizer trained on the corpus, and the sizes of a BERT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasft.data.prepared import PreparedDataset, Split
from kerasft.errors import DataError
from kerasft.files import write_json
from kerasft.progress import Progress
from kerasft.text.tokenizers.training import train_tokenizer
from kerasft.text.tokenizers.vocabulary import load_vocabulary

_READ_AT_ONCE = 32
_DROPOUT = 0.1
"""What the net has when it is fine-tuned."""


def write_start(config: Any, dataset: PreparedDataset, folder: Path, progress: Progress) -> None:
    """Writes a preset's folder without weights: tokenizer and config.json, in Hugging Face's form.

    Args:
        config: the experiment.
        dataset: whose training split the tokenizer is trained on.
        folder: an empty one.
        progress: where to report.

    Raises:
        DataError: there is no training split.
    """
    if "train" not in dataset.splits:
        raise DataError("there is no training split", where="data.train", fix="Name training files.")
    train_tokenizer(config.tokenizer, _Texts(dataset.split("train")), folder, progress)
    size = config.model.size
    write_json(
        folder / "config.json",
        {
            "model_type": "bert",
            "vocab_size": load_vocabulary(folder).size,
            "num_hidden_layers": size.layers,
            "num_attention_heads": size.heads,
            "hidden_size": size.width,
            "intermediate_size": size.feedforward or 4 * size.width,
            "max_position_embeddings": config.model.max_length,
            "type_vocab_size": 2,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_dropout_prob": _DROPOUT,
            "attention_probs_dropout_prob": _DROPOUT,
        },
    )


class _Texts:
    """A split's texts, as often as they are asked for."""

    def __init__(self, split: Split):
        self._split = split

    def __iter__(self) -> Iterator[str]:
        for examples in self._split.iterate(_READ_AT_ONCE):
            yield from (example["text"] for example in examples)

"""New text nets: what is written of one before it has weights, and which tokenizers suit it. Imports no TensorFlow."""

from __future__ import annotations

from pathlib import Path

from kerasft.files import write_json
from kerasft.text.tokenizers.config import TokenizerConfig

TOKENIZERS = ("wordpiece",)
"""The kinds of tokenizer that a BERT can have."""
_DROPOUT = 0.1
"""What the net has when it is fine-tuned."""


def check_tokenizer(config: TokenizerConfig) -> None:
    """Refuses a tokenizer that a new net cannot have.

    Args:
        config: the `tokenizer` section.

    Raises:
        ValueError: it is another kind than a BERT's, or there is none.
    """
    if config.preset is None and config.type not in TOKENIZERS:
        raise ValueError(
            "a new net of BERT's shape needs a WordPiece tokenizer. Train one on the corpus, tokenizer: {type: "
            "wordpiece, vocabulary_size: 8192}, or take a preset's, tokenizer: {type: preset, preset: NAME}"
        )


def write_net_config(
    folder: Path,
    *,
    vocabulary_size: int,
    layers: int,
    width: int,
    heads: int,
    feedforward: int,
    max_length: int,
) -> None:
    """Writes a new BERT's config.json into a folder with a tokenizer, in Hugging Face's form.

    Args:
        folder: where to.
        vocabulary_size: of the tokenizer.
        layers, width, heads, feedforward: of the net; see `model.size` of a config.
        max_length: positions.
    """
    write_json(
        folder / "config.json",
        {
            "model_type": "bert",
            "vocab_size": vocabulary_size,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "hidden_size": width,
            "intermediate_size": feedforward,
            "max_position_embeddings": max_length,
            "type_vocab_size": 2,
            "hidden_act": "gelu_pytorch_tanh",
            "hidden_dropout_prob": _DROPOUT,
            "attention_probs_dropout_prob": _DROPOUT,
        },
    )

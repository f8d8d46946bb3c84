"""From a local preset folder to a keras-hub backbone and its vocabulary: the only importer of keras_hub."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from kerasft.errors import ConfigError, PresetError
from kerasft.files import write_json
from kerasft.models.hubs.folders import read_json
from kerasft.models.text.bert_sizes import (
    check_bert_weights,
    check_holds_parameters,
    is_hub_form,
    read_bert_sizes,
)
from kerasft.models.weights.files import check_finite


def build_text_backbone(folder: Path, *, held_bytes: int | None = None) -> Any:
    """The architecture of a local preset folder, with whatever weights Keras begins with.

    Only numbers are taken from its config.json: nothing that the file names is made or run.

    Args:
        folder: holds config.json.
        held_bytes: what the weights to come take; sizes that need more are refused.

    Returns:
        A `keras_hub.models.BertBackbone` in float32.

    Raises:
        PresetError: it is no BERT, or one of sizes that are not believed.
    """
    import keras_hub

    sizes = read_bert_sizes(folder)
    if held_bytes is not None:
        check_holds_parameters(sizes, held_bytes, folder / "config.json")
    # float32 whatever the preset was saved in: what is learned must not be rounded when it is written back
    return keras_hub.models.BertBackbone(**asdict(sizes), dtype="float32", name="bert_backbone")


def load_text_backbone(folder: Path, *, random_weights: bool = False, seed: int = 0) -> Any:
    """The backbone of a local preset folder, keras-hub's or Hugging Face's format.

    Args:
        folder: holds config.json and weights.
        random_weights: the architecture only, with fresh weights.
        seed: of those.

    Returns:
        A `keras_hub.models.BertBackbone` in float32.

    Raises:
        PresetError: the folder cannot be read, its weights do not fit or are not finite, or it is no BERT.
    """
    import keras
    import keras_hub
    from safetensors import SafetensorError

    if random_weights:
        keras.utils.set_random_seed(seed)
        return build_text_backbone(folder)
    check_bert_weights(folder, read_bert_sizes(folder))
    try:
        if is_hub_form(folder):
            backbone = build_text_backbone(folder)
            whole = (folder / "model.weights.h5").exists()
            backbone.load_weights(folder / ("model.weights.h5" if whole else "model.weights.json"))
        else:
            backbone = keras_hub.models.BertBackbone.from_preset(str(folder), dtype="float32")
    except (
        ValueError, OSError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        raise PresetError(
            f"The preset cannot be loaded: {str(error)[:1000]}",
            where=str(folder),
            fix="It must be a whole folder in keras-hub's or Hugging Face's format: config.json, weights, vocabulary.",
        ) from error
    check_finite(backbone, folder)
    return backbone


def load_pooling(folder: Path) -> str:
    """How the preset was trained to make one vector of a text: `mean` over tokens, or `cls`, BERT's pooled output.

    Sentence encoders say so in `1_Pooling/config.json`, the form of Sentence Transformers; others are `cls`.
    """
    path = folder / "1_Pooling" / "config.json"
    return "mean" if path.is_file() and read_json(path).get("pooling_mode_mean_tokens") else "cls"


def save_pooling(folder: Path, pooling: str) -> None:
    """Writes what `load_pooling` reads."""
    if pooling == "mean":
        path = folder / "1_Pooling" / "config.json"
        path.parent.mkdir()
        write_json(path, {"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True})


def check_max_length(backbone: Any, max_length: int) -> None:
    """Refuses more tokens than the backbone has positions for.

    Raises:
        ConfigError: `max_length` is larger.
    """
    positions = backbone.max_sequence_length
    if max_length > positions:
        raise ConfigError(
            f"the preset knows {positions} positions, {max_length} were asked for",
            where="model.max_length",
            fix=f"Set model.max_length to {positions} or less.",
        )


def check_vocabulary(backbone: Any, vocabulary: Any, folder: Path) -> None:
    """Refuses a vocabulary with more pieces than the backbone has embeddings for.

    Raises:
        PresetError: there are more.
    """
    if vocabulary.size > backbone.vocabulary_size:
        raise PresetError(
            f"The vocabulary has {vocabulary.size:,} pieces, and the model knows {backbone.vocabulary_size:,}.",
            where=str(folder),
            fix="They are of different presets: fetch the preset again.",
        )


def save_text_preset(backbone: Any, vocabulary: Any, folder: Path) -> None:
    """Writes backbone and tokenizer as a keras-hub preset into an existing or new folder.

    Args:
        backbone: a `BertBackbone`.
        vocabulary: the `WordPieceVocabulary` it was trained with.
        folder: where it goes.
    """
    import keras_hub

    backbone.save_to_preset(str(folder))
    tokenizer = keras_hub.models.BertTokenizer(
        vocabulary=list(vocabulary.pieces), lowercase=vocabulary.lowercase
    )
    tokenizer.save_to_preset(str(folder))

"""From a local preset folder to a keras-hub backbone and its vocabulary: the only importer of keras_hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.errors import ConfigError, PresetError
from kerasft.files import write_json
from kerasft.models.folders import read_json


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
    try:
        # float32 whatever the preset was saved in: what is learned must not be rounded when it is written back
        backbone = keras_hub.models.Backbone.from_preset(
            str(folder), load_weights=not random_weights, dtype="float32"
        )
    except (ValueError, OSError, KeyError, TypeError, SafetensorError) as error:
        raise PresetError(
            f"The preset cannot be loaded: {error}",
            where=str(folder),
            fix="It must be a whole folder in keras-hub's or Hugging Face's format: config.json, weights, vocabulary.",
        ) from error
    if not isinstance(backbone, keras_hub.models.BertBackbone):
        raise PresetError(
            f"The preset is a {type(backbone).__name__}; text classification trains BERT-family presets.",
            where=str(folder),
            fix="See `kerasft presets list` for what can be named.",
        )
    _check_finite(backbone, folder)
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


def _check_finite(backbone: Any, folder: Path) -> None:
    import numpy as np

    for variable in backbone.weights:
        if not np.isfinite(np.sum(variable.numpy())):
            raise PresetError(
                f"The weight {variable.path} holds numbers that are not finite.",
                where=str(folder),
                fix="The file is damaged or comes from a training that diverged: fetch it again.",
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


def load_hub_model(path: Path) -> Any:
    """A saved Keras model that holds keras-hub's classes, uncompiled.

    Raises:
        PresetError: the file is damaged, or no Keras model.
    """
    import keras
    import keras_hub  # noqa: F401 (registers the classes that the file names)

    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise PresetError(
            f"The model cannot be loaded: {error}", where=str(path), fix="Train it again: kerasft finetune."
        ) from error

"""From a local preset folder to a keras-hub backbone, whatever its family."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.errors import ConfigError, PresetError
from kerasft.files import write_json
from kerasft.models.hubs.folders import read_json
from kerasft.models.text.families import find_family
from kerasft.models.text.sizes import check_holds_parameters, is_hub_form
from kerasft.models.weights.files import check_finite


def build_text_backbone(folder: Path, *, weights_bytes: int | None = None) -> Any:
    """The architecture of a local preset folder, with whatever weights Keras begins with.

    Only numbers are taken from its config.json: nothing that the file names is made or run.

    Args:
        folder: holds config.json.
        weights_bytes: what the weights to come take; sizes that need more are refused.

    Returns:
        A keras-hub backbone in float32.

    Raises:
        PresetError: it is of no known family, or of sizes that are not believed.
    """
    family = find_family(folder)
    sizes = family.read_sizes(folder)
    if weights_bytes is not None:
        check_holds_parameters(sizes, weights_bytes, folder / "config.json")
    return family.build_backbone(sizes)


def load_text_backbone(
    folder: Path, *, random_weights: bool = False, seed: int = 0, needs_pooler: bool = True
) -> Any:
    """The backbone of a local preset folder, keras-hub's or Hugging Face's format.

    Args:
        folder: holds config.json and weights.
        random_weights: the architecture only, with fresh weights.
        seed: of those.
        needs_pooler: False accepts a folder without the pooler's weights; they are then random, the same each time.

    Returns:
        A keras-hub backbone in float32.

    Raises:
        PresetError: the folder cannot be read, its weights do not fit or are not finite, or it is of no known family.
    """
    import keras
    from safetensors import SafetensorError

    if random_weights:
        keras.utils.set_random_seed(seed)
        return build_text_backbone(folder)
    family = find_family(folder)
    family.check_weights(folder, family.read_sizes(folder), needs_pooler=needs_pooler)
    try:
        backbone = build_text_backbone(folder)
        if is_hub_form(folder):
            whole = (folder / "model.weights.h5").exists()
            backbone.load_weights(folder / ("model.weights.h5" if whole else "model.weights.json"))
        else:
            family.load_hugging_face_weights(backbone, folder)
    except (
        ValueError, OSError, LookupError, TypeError, AttributeError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        raise PresetError(
            f"The preset cannot be loaded: {str(error)[:1000]}",
            where=str(folder),
            fix="It must be a complete folder in keras-hub's or Hugging Face's format: "
            "config.json, weights, vocabulary.",
        ) from error
    check_finite(backbone, folder)
    return backbone


def load_pooling(folder: Path) -> str:
    """How the preset was trained to make one vector of a text: `mean` over tokens, or `cls`, the first token's output.

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
            f"the preset supports {positions} positions, but max_length is {max_length}",
            where="model.max_length",
            fix=f"Set model.max_length to {positions} or less.",
        )


def check_vocabulary(backbone: Any, tokenizer: Any, folder: Path) -> None:
    """Refuses a vocabulary with more pieces than the backbone has embeddings for.

    Raises:
        PresetError: there are more.
    """
    pieces, known = tokenizer.vocabulary_size, backbone.vocabulary_size
    if pieces > known:
        raise PresetError(
            f"The vocabulary has {pieces:,} pieces, and the model knows {known:,}.",
            where=str(folder),
            fix="They belong to different presets: fetch the preset again.",
        )

"""Weights from a saved Keras model, a `.keras` file, into a model built here: nothing in the file is made or run."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kerasft.models.weights.files import check_finite, check_h5_file, naming_damage

_CONFIG = "config.json"
_WEIGHTS = "model.weights.h5"
_MAX_CONFIG_BYTES = 32 << 20
_MAX_OVERHEAD_BYTES = 64 << 20
"""Of HDF5 and of dropout's seeds, beside the weights, which are counted twice."""
_FIX = "Train it again: kerasft finetune."
_PACKAGES = ("keras", "keras_hub", "keras_nlp", "builtins")


def measure_weights(path: Path) -> int:
    """How many bytes a saved model's weights take.

    Raises:
        PresetError: the file is damaged.
    """
    with naming_damage(path, "model", _FIX), _open_archive(path) as archive:
        return archive.getinfo(_WEIGHTS).file_size


def load_model_weights(model: Any, path: Path) -> None:
    """Fills a model that was built here with the weights of a saved one.

    The saved model's own config is compared with the model, so that a file that was changed is told of, and is not
    used otherwise.

    Args:
        model: of the same architecture as the saved one.
        path: the saved model.

    Raises:
        PresetError: the file is damaged, was changed, or its weights are others than the model's, or not finite.
    """
    with (
        naming_damage(path, "model", _FIX),
        tempfile.TemporaryDirectory(prefix="kerasft-") as folder,
        _open_archive(path) as archive,
    ):
        _check_config(archive.read(_find_member(archive, _CONFIG, _MAX_CONFIG_BYTES)), model)
        # HDF5 jumps to and fro, which is slow inside an archive
        member = _find_member(archive, _WEIGHTS, 8 * model.count_params() + _MAX_OVERHEAD_BYTES)
        weights = Path(folder) / _WEIGHTS
        with archive.open(member) as source, open(weights, "wb") as target:
            shutil.copyfileobj(source, target)
        check_h5_file(weights)
        model.load_weights(weights)
    check_finite(model, path)


def _open_archive(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise ValueError("it is not a file")
    return zipfile.ZipFile(path)


def _find_member(archive: zipfile.ZipFile, name: str, limit: int) -> zipfile.ZipInfo:
    member = archive.getinfo(name)
    if member.file_size > limit:
        raise ValueError(f"its {name} has {member.file_size:,} bytes, and it may have {limit:,}")
    return member


def _check_config(content: bytes, model: Any) -> None:
    """Refuses a config that has other layers than the model, names other packages' classes, or holds Python code."""
    try:
        config = json.loads(content)
        found = _count_layers(config["config"])
        for part in _walk(config):
            package = str(part.get("module") or "keras").partition(".")[0]
            if part.get("class_name") == "__lambda__" or package not in _PACKAGES:
                raise ValueError(
                    f"names {str(part.get('class_name'))[:60]} of {package[:60]}, which is not Keras'"
                )
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"its config.json is damaged or was changed: {error}") from error
    expected = _count_layers(model.get_config())
    if found != expected:
        raise ValueError(
            f"its config.json names the layers {', '.join(sorted(found))[:300]}, "
            f"not {', '.join(sorted(expected))}"
        )


def _count_layers(config: dict[str, Any]) -> Counter[str]:
    """How often each class of layers is in a model's config; keras-hub's whole models name a backbone alone."""
    layers = config["layers"] if "layers" in config else [config["backbone"]]
    return Counter(str(layer["class_name"]) for layer in layers)


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
    children = value.values() if isinstance(value, dict) else value
    for child in children if isinstance(value, dict | list) else ():
        yield from _walk(child)

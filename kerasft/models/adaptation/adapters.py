"""LoRA adapters as small files: writes, reads and adds them to a preset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kerasft.damage import check_folder
from kerasft.errors import ConfigError, PresetError
from kerasft.files import compute_fingerprint, compute_sha256, whole_folder, write_json
from kerasft.integrity import write_hashes
from kerasft.models.adaptation.config import LoraConfig
from kerasft.models.adaptation.lora import add_lora, list_products, merge_lora
from kerasft.models.hubs.folders import compute_preset_fingerprint
from kerasft.models.weights.files import read_safetensors_header
from kerasft.untrusted import load_json

if TYPE_CHECKING:
    from kerasft.models.config import TextModelConfig
    from kerasft.models.text.decoders.config import DecoderModelConfig

WEIGHTS, DESCRIPTION = "adapter.safetensors", "adapter.json"
"""The files in an adapter's folder."""
_FIX = "Name the folder adapter/ of a run that trained with model.adaptation: lora."
_DAMAGED = "Rewrite it from the last checkpoint: kerasft finetune, with the folder of its run."


@dataclass(frozen=True)
class Adapter:
    """An adapter on disk, its weights not yet read.

    Attributes:
        folder: where it is.
        config: as it was trained.
        preset: the fingerprint of the preset that it was trained on.
        label_names: the classes of its head.
    """

    folder: Path
    config: LoraConfig
    preset: str
    label_names: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Changes when a model that begins with it would begin otherwise."""
        return compute_fingerprint([compute_sha256(self.folder / name) for name in (DESCRIPTION, WEIGHTS)])


def begin_adapters(
    model: keras.Model, config: TextModelConfig, preset: Path, label_names: tuple[str, ...], *, seed: int
) -> None:
    """Makes of a model with the preset's weights what a training begins with: `model.adapter` on it, and products.

    Args:
        model: of the preset.
        config: the `model` section.
        preset: its folder.
        label_names: the classes, in the order of the model's outputs.
        seed: of new products.

    Raises:
        ConfigError: the adapter is of another preset or other labels, or learned otherwise than it shall go on to.
        PresetError: it cannot be used.
    """
    lora = config.adaptation if isinstance(config.adaptation, LoraConfig) else None
    if getattr(config, "adapter", None) is None:  # a section of another family may have none
        if lora is not None:
            add_lora(model, lora, seed=seed)
        return
    adapter = find_adapter(config, compute_preset_fingerprint(preset))
    if adapter.label_names != tuple(label_names):
        raise ConfigError(
            f"the adapter was trained for the labels {', '.join(adapter.label_names)}, and these are "
            f"{', '.join(label_names)}",
            where="model.adapter",
            fix="Train on its labels, in the same order (task.labels), or leave model.adapter out.",
        )
    load_adapter(model, adapter)
    if lora is None:
        merge_lora(model)


def find_adapter(config: TextModelConfig | DecoderModelConfig, preset: str) -> Adapter:
    """The adapter that `model.adapter` names, whatever can be told of it without a model looked at.

    Args:
        config: the `model` section, `adapter` named.
        preset: the fingerprint of the preset's folder.

    Raises:
        ConfigError: it is of another preset, or learned otherwise than it shall go on to.
        PresetError: there is none, or it is damaged.
    """
    adapter = read_adapter(Path(str(config.adapter)))
    if adapter.preset != preset:
        raise ConfigError(
            f"the adapter was trained on another preset ({adapter.preset[:12]}…; this one is {preset[:12]}…)",
            where=str(adapter.folder),
            fix="Set model.preset to exactly the preset that it was trained on.",
        )
    lora = config.adaptation
    if isinstance(lora, LoraConfig):
        for name in ("rank", "alpha", "targets"):
            ours, its = getattr(lora, name), getattr(adapter.config, name)
            if ours != its:
                raise ConfigError(
                    f"the adapter was trained with {name} {_show(its)}, and would be trained further with "
                    f"{_show(ours)}",
                    where=f"model.adaptation.{name}",
                    fix=f"Set it to {_show(its)}, or leave model.adapter out.",
                )
    return adapter


def _show(value: Any) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else f"{value}"


def save_adapter(
    model: keras.Model,
    head: list[Any],
    folder: Path,
    config: LoraConfig,
    *,
    preset: str,
    label_names: tuple[str, ...],
) -> None:
    """Writes what was learned beside the preset: the products and the head, float32, and what they are.

    Args:
        model: with products.
        head: the variables that learned besides.
        folder: whole or not at all: `adapter.safetensors`, `adapter.json` and their hashes.
        config: as it was trained.
        preset: the fingerprint of the preset's folder.
        label_names: the classes, in the order of the head's outputs.
    """
    from safetensors.numpy import save_file

    tensors = {variable.path: np.asarray(variable) for variable in (*list_products(model), *head)}
    description = {
        **config.model_dump(mode="json"),
        "preset_fingerprint": preset,
        "label_names": list(label_names),
    }
    with whole_folder(folder) as path:
        save_file(tensors, path / WEIGHTS)
        write_json(path / DESCRIPTION, description)
        write_hashes(path)


def read_adapter(folder: Path) -> Adapter:
    """What an adapter's folder says of it; the folder of its run will do. Its weights are not read.

    Raises:
        PresetError: there is none, or it is damaged.
    """
    if not (folder / DESCRIPTION).is_file() and (folder / "adapter" / DESCRIPTION).is_file():
        folder = folder / "adapter"
    for name in (DESCRIPTION, WEIGHTS):
        if not (folder / name).is_file():
            raise PresetError(f"The adapter's folder lacks {name}.", where=str(folder), fix=_FIX)
    check_folder(folder, _DAMAGED, follow_links=True)
    try:
        description = load_json(folder / DESCRIPTION, follow_links=True)
        preset, labels = str(description.pop("preset_fingerprint")), tuple(description.pop("label_names"))
        config = LoraConfig.model_validate(description)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        what = f"It does not describe an adapter: {str(error)[:300]}"
        raise PresetError(what, where=str(folder / DESCRIPTION), fix=_FIX) from error
    try:
        read_safetensors_header(folder / WEIGHTS)
    except ValueError as error:
        raise PresetError(
            f"The adapter's weights cannot be read: {error}", where=str(folder / WEIGHTS), fix=_FIX
        ) from error
    return Adapter(folder, config, preset, labels)


def load_adapter(model: keras.Model, adapter: Adapter | Path) -> Adapter:
    """Puts an adapter onto a model of its preset, to the bit: products and head.

    Args:
        model: of the preset, without products, with a head of the adapter's shapes.
        adapter: of `read_adapter`, or its folder. `find_adapter` tells whether it is one of this preset.

    Raises:
        PresetError: its weights are not those of this model, or not finite.
    """
    from safetensors.numpy import load_file

    adapter = adapter if isinstance(adapter, Adapter) else read_adapter(adapter)
    tensors = load_file(adapter.folder / WEIGHTS)
    add_lora(model, adapter.config, seed=0)
    variables = {variable.path: variable for variable in model.weights}
    needed = {variable.path for variable in list_products(model)}
    _check_tensors(adapter, tensors, variables, needed)
    for name, value in tensors.items():
        variables[name].assign(value)
    return adapter


def _check_tensors(
    adapter: Adapter, tensors: Mapping[str, np.ndarray], variables: Mapping[str, Any], needed: set[str]
) -> None:
    lacking, unknown = sorted(needed - set(tensors)), sorted(set(tensors) - set(variables))
    wrong = [
        f"{name} has shape {value.shape}, the model's is {tuple(variables[name].shape)}"
        for name, value in tensors.items()
        if name in variables and tuple(variables[name].shape) != value.shape
    ]
    problems = (
        [f"{name} is missing" for name in lacking] + [f"the model has no {name}" for name in unknown] + wrong
    )
    problems += [f"{name} is not finite" for name, value in tensors.items() if not np.isfinite(value).all()]
    if problems:
        raise PresetError(
            f"The adapter does not fit the model: {problems[0]}"
            + (f" (and {len(problems) - 1} more)" if problems[1:] else ""),
            where=str(adapter.folder / WEIGHTS),
            fix="It needs its own preset, and a task with as many labels as it was trained for.",
        )

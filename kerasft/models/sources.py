"""Where a training's first weights come from: a `model` section settled, before anything expensive is begun."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kerasft.files import compute_fingerprint, compute_sha256
from kerasft.models.fetching import resolve_preset
from kerasft.models.hubs.folders import compute_preset_fingerprint

if TYPE_CHECKING:
    from kerasft.models.config import ImageNetConfig, ModelConfig, TextModelConfig
    from kerasft.models.text.decoders.config import DecoderModelConfig


@dataclass(frozen=True)
class ModelSource:
    """What a model begins with.

    Attributes:
        path: a preset's folder, or a file of weights; None for random weights.
        name: of the architecture, where it is no part of what is at `path`.
        adapter: the fingerprint of the adapter that is put onto it; empty where there is none.
    """

    path: Path | None
    name: str = ""
    adapter: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """Changes when the model would begin otherwise."""
        return (
            compute_fingerprint([self.preset_fingerprint, self.adapter])
            if self.adapter
            else self.preset_fingerprint
        )

    @cached_property
    def preset_fingerprint(self) -> str:
        """The part of it that is without the adapter."""
        if self.path is None:
            return compute_fingerprint([self.name])
        if self.path.is_dir() or not self.name:
            return compute_preset_fingerprint(self.path)
        return compute_fingerprint([self.name, compute_sha256(self.path)])


def resolve_plain_model(config: ModelConfig) -> ModelSource:
    """The preset that a `model` section without keys of its own names.

    Raises:
        PresetError: it is not there, and cannot be had.
    """
    return ModelSource(resolve_preset(config.preset))


def resolve_text_model(
    config: TextModelConfig | DecoderModelConfig, *, may_be_file: bool = False
) -> ModelSource:
    """What the `model` section of a text net names: a preset, with an adapter on it where one is named.

    Args:
        config: the section.
        may_be_file: whether the preset may be a GGUF file.

    Raises:
        PresetError: it is not there, and cannot be had.
        ConfigError: `adapter` is of another preset.
    """
    assert config.preset is not None
    needs_weights = not config.random_weights
    source = ModelSource(resolve_preset(config.preset, needs_weights=needs_weights, may_be_file=may_be_file))
    if config.adapter is None:
        return source
    from kerasft.models.adaptation.adapters import find_adapter

    return replace(source, adapter=find_adapter(config, source.preset_fingerprint).fingerprint)


def resolve_image_model(config: ImageNetConfig) -> ModelSource:
    """What an image net's `model` section names.

    Raises:
        PresetError: it is not there, and cannot be had.
        ConfigError: there is no such net, or it takes no such arguments.
    """
    from kerasft.models.image.backbones import check_size, get_architecture
    from kerasft.models.image.imagenet_files import fetch_imagenet_weights
    from kerasft.models.image.presets import resolve_image_preset
    from kerasft.models.image.weights import find_weight_file

    preset = resolve_image_preset(config.preset, config.arguments)
    architecture = get_architecture(preset.net) if preset.net else None
    if architecture is not None:
        check_size(architecture, config.least_side_px or preset.image_size_px)
    if config.weights == "none":
        path = None
    elif config.weights != "imagenet":
        path = find_weight_file(Path(config.weights))
    elif preset.folder is not None or architecture is None:
        path = preset.folder
    else:
        path = fetch_imagenet_weights(architecture, preset.arguments, config.least_side_px)
    return ModelSource(path, f"{config.preset} {sorted(config.arguments.items())}")

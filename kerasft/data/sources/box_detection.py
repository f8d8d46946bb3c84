"""Finds out in which format a folder or file holds boxes in pictures, and which splits it has."""

from __future__ import annotations

from pathlib import Path

from kerasft.data.box_config import BoxCsvSource
from kerasft.data.sources import voc
from kerasft.data.sources.annotation_files import find_split_files, list_aliases
from kerasft.data.sources.box_csv import looks_like_boxes
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.readable import check_link, refusing_unreadable
from kerasft.data.sources.yolo_folders import find_description, find_split_folders, open_folder
from kerasft.errors import DataError

_START_BYTES = 1 << 16
_TABLES = (".csv", ".tsv")


def find_splits(format: str, folder: Path) -> list[str]:
    """The splits that a folder holds in a format; none where it holds no more than one."""
    if format == "yolo":
        return list(open_folder(folder, folder).splits)
    if not folder.is_dir():
        return []
    if format == "voc":
        return list(voc.find_splits(folder))
    found = find_split_files(folder, _TABLES if format == "box_csv" else (".json",))
    if format in ("coco", "label_studio"):
        found = {
            split: [path for path in paths if _recognize_json(path) == format]
            for split, paths in found.items()
        }
    return [split for split, paths in found.items() if paths and list_aliases(split)]


def detect_format(path: Path) -> str:
    """The format of a folder or a file: `voc`, `yolo`, `coco`, `label_studio` or `box_csv`.

    Raises:
        DataError: it is none of them, several, or not there.
    """
    check_link(path)
    if not path.exists():
        raise DataError(
            "There is no such file or folder.", where=str(path), fix="Set path to the folder of the data set."
        )
    with refusing_unreadable(path if path.is_dir() else path.parent):
        found = sorted(_detect_in(path) if path.is_dir() else _detect_file(path))
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{path.name} holds boxes in several formats: {', '.join(found)}.",
            where=str(path),
            fix=f"Set format to one of them, for example format: {found[0]}",
        )
    held = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) if path.is_dir() else path.name
    raise DataError(
        f"No boxes in pictures were recognised: {held}.",
        where=str(path),
        fix="Looked for COCO (JSON), Pascal VOC (XML), YOLO (data.yaml, or classes.txt), Label Studio (JSON) and CSV. "
        "A folder of pictures by class is format: image_folder.",
    )


def _detect_in(folder: Path) -> set[str]:
    found = set()
    places = [folder, *(folder / name for name in voc.FOLDERS if (folder / name).is_dir())]
    if voc.find_splits(folder) or any(
        path.suffix.lower() == ".xml" for place in places for path in place.iterdir()
    ):
        found.add("voc")
    if find_description(folder) is not None or _has_yolo_labels(folder):
        found.add("yolo")
    for paths in find_split_files(folder, (".json",)).values():
        found |= {kind for path in paths if (kind := _recognize_json(path))}
    for paths in find_split_files(folder, _TABLES).values():
        found |= {"box_csv" for path in paths if _is_table_of_boxes(path)}
    return found


def _detect_file(path: Path) -> set[str]:
    ending = path.suffix.lower()
    if ending in (".yaml", ".yml"):
        return {"yolo"}
    if ending in _TABLES:
        return {"box_csv"} if _is_table_of_boxes(path) else set()
    return {kind} if (kind := _recognize_json(path)) else set()


def _has_yolo_labels(folder: Path) -> bool:
    """Whether a folder names classes in a text file, and has a folder of labels."""
    named = any((folder / name).is_file() for name in ("classes.txt", "obj.names", "labels/classes.txt"))
    return named and ((folder / "labels").is_dir() or bool(find_split_folders(folder)))


def _is_table_of_boxes(path: Path) -> bool:
    source = BoxCsvSource(format="box_csv", path=str(path), delimiter="\t" if path.suffix == ".tsv" else ",")
    return looks_like_boxes(SourceFile(path, path.name), source)


def _recognize_json(path: Path) -> str:
    """`coco` or `label_studio`, by how a file begins and what keys it names; empty where it is neither."""
    with path.open("rb") as file:
        start = file.read(_START_BYTES).decode("utf-8", "replace").lstrip("\ufeff \t\r\n")
        file.seek(max(0, path.stat().st_size - _START_BYTES))
        text = start + file.read().decode("utf-8", "replace")
    if start.startswith("{"):
        return "coco" if all(f'"{key}"' in text for key in ("images", "file_name", "categories")) else ""
    if start.startswith("["):
        is_export = '"data"' in text and ('"annotations"' in text or '"completions"' in text)
        return "label_studio" if is_export or '"rectanglelabels"' in text else ""
    return ""

"""Pascal VOC's XML of boxes: one file a picture, and lists of the pictures of each split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from kerasft.data.box_config import VocSource
from kerasft.data.kinds.fields import Field, InvalidValue, parse_label
from kerasft.data.kinds.number import parse_number
from kerasft.data.sources.annotation_files import PICTURE_ENDINGS, choose_split, list_aliases
from kerasft.data.sources.box_rows import (
    BoxRow,
    Findings,
    check_fields,
    show_first,
    show_names,
    yield_batches,
)
from kerasft.data.sources.paths import SourceFile, list_folders, list_members, name_source
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.data.sources.plain_xml import load_xml
from kerasft.data.sources.readable import check_link
from kerasft.data.sources.rows import RawBatch
from kerasft.errors import DataError

FOLDERS = ("Annotations", "annotations")
"""Where XML files are, apart from their pictures."""
_PICTURES, _LISTS = ("JPEGImages", "images"), "ImageSets/Main"
_ENDING = ".xml"


def resolve(source: VocSource, base: Path) -> list[SourceFile]:
    """The folder that holds all, or that of a split.

    Raises:
        DataError: there is none, or it has no such split.
    """
    folder = base / source.path
    check_link(folder)
    if not folder.is_dir():
        raise DataError(
            f"{source.path} is a file, not a folder." if folder.exists() else "There is no such folder.",
            where=str(folder),
            fix=f"Set path to the folder that contains {FOLDERS[0]}/, or XML files beside their pictures.",
        )
    splits = find_splits(folder)
    if source.split is None and not any(isinstance(place, Path) for place in splits.values()):
        return [name_source(folder, base)]
    place = choose_split(splits, source.split, folder)
    return [name_source(folder if isinstance(place, str) else place, base)]


def find_splits(folder: Path) -> dict[str, Path | str]:
    """Split → the name of its list in a folder, or its own folder; nothing where there are no splits."""
    lists = folder / _LISTS
    if lists.is_dir():
        names = [path.stem for path in sorted(lists.iterdir()) if path.suffix == ".txt" and path.is_file()]
        # cat_train.txt says in which pictures of train cats are
        return {name: name for name in names if "_" not in name or list_aliases(name)}
    if any((folder / name).is_dir() for name in FOLDERS):
        return {}
    return {
        path.name: path
        for path in list_folders(folder)
        if list_aliases(path.name) and any(member.suffix.lower() == _ENDING for member in path.rglob("*"))
    }


def read_rows(file: SourceFile, source: VocSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the pictures of a split's list with their boxes, numbered by the list's lines; without a list those of
    all XML files, sorted.

    `difficult` objects are crowds: they are not counted as missed. A picture whose file has no objects is background.

    Raises:
        DataError: there are no annotations, or the task needs something else.
    """
    check_fields(file, fields)
    reader = _Reader(file, source)
    annotations = reader.list_annotations()
    rows = (reader.read(number, path) for number, path in annotations)
    return yield_batches(rows, len(annotations), file, fields, reader.findings)


class _Findings(Findings):
    """What is said of a split as a whole.

    Args:
        file: the folder.
        source: its settings.
    """

    def __init__(self, file: SourceFile, source: VocSource):
        super().__init__()
        self._name, self._says = file.name, source.coordinates == "auto"
        self.edges = 0
        """Files whose numbers are sides."""
        self.pixels = 0
        """Files whose numbers are those of pixels, from 1."""
        self.zeros = 0
        """Boxes among the latter that begin at pixel 0."""
        self.renamed: list[str] = []
        """Files that name another picture than the one that is called as they are."""

    def conclude(self) -> None:
        if self._says and self.edges + self.pixels:
            how = [
                f"as the sides of boxes (XML files: {self.edges:,})" if self.edges else "",
                f"as pixels counted from 1 (XML files of VOC: {self.pixels:,})" if self.pixels else "",
            ]
            self.remarks.append(
                f"{self._name}: xmin, ymin, xmax and ymax are read {' and '.join(filter(None, how))}; `coordinates` "
                "sets it."
            )
        if self.renamed:
            self.remarks.append(
                f"{self._name}: XML files that name another picture than the one that is called as they are, which is "
                f"taken: {len(self.renamed):,} ({show_first(self.renamed)})."
            )
        if self.zeros:
            self.warnings.append(
                f"{self._name}: boxes that begin at pixel 0, although pixels are counted from 1 here: {self.zeros:,}. "
                "Set coordinates: edges, unless these boxes are wrong."
            )


class _Reader:
    """Reads the XML files of one folder.

    Args:
        file: the folder.
        source: its settings.
    """

    def __init__(self, file: SourceFile, source: VocSource):
        self._file, self._source = file, source
        self.findings = _Findings(file, source)
        root = file.path
        self._annotations = next((root / name for name in FOLDERS if (root / name).is_dir()), root)
        self._members = list_members(file)
        pictures = [path for path in self._members if path.suffix.lower() in PICTURE_ENDINGS]
        named = next((root / name for name in _PICTURES if (root / name).is_dir()), root)
        self._pictures = named
        self._by_stem: dict[str, list[Path]] = {}
        for path in pictures:
            if path.is_relative_to(named):
                self._by_stem.setdefault(path.stem, []).append(path)

    def list_annotations(self) -> list[tuple[int, Path]]:
        """(number, XML file) of each picture to be read.

        Raises:
            DataError: there are none.
        """
        splits = find_splits(self._file.path)
        if self._source.split is not None and any(isinstance(place, str) for place in splits.values()):
            name = choose_split(splits, self._source.split, self._file.path)
            return self._read_list(self._file.path / _LISTS / f"{name}.txt")
        found = [
            path
            for path in self._members
            if path.suffix.lower() == _ENDING and path.is_relative_to(self._annotations)
        ]
        if not found:
            raise DataError(
                f"There is no XML file in {self._annotations.name}/.",
                where=str(self._annotations),
                fix="Set format to what the folder holds; format: auto tells it.",
            )
        stems = {path.stem for path in found}
        bare = [path for stem, paths in self._by_stem.items() if stem not in stems for path in paths]
        if bare:
            self.findings.warnings.append(
                f"{self._file.name}: pictures without an XML file, not read: {len(bare):,} "
                f"({show_names(sorted(bare), self._file)}). If they show nothing to detect, write one without objects."
            )
        return list(enumerate(found, 1))

    def _read_list(self, path: Path) -> list[tuple[int, Path]]:
        try:
            lines = path.read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise DataError(f"The list cannot be read: {why}.", where=str(path)) from error
        rows = []
        for number, line in enumerate(lines, 1):
            name = line.strip()
            first, _, last = name.rpartition(" ")
            if first and last in ("-1", "0", "1") and not os.path.isfile(self._name_annotation(name)):
                name = first.rstrip()  # whether a class is in the picture
            if name.lower().endswith((*PICTURE_ENDINGS, _ENDING)):
                name = name.rsplit(".", 1)[0]
            if name:
                rows.append((number, self._name_annotation(name)))
        return rows

    def _name_annotation(self, name: str) -> Path:
        return self._annotations / f"{name.replace(chr(0), '').lstrip('/')}{_ENDING}"

    def read(self, number: int, path: Path) -> BoxRow:
        """One picture and its boxes; the last one completes what is said of all."""
        try:
            root = load_xml(path)
            image = self._find_picture(path, root.findtext("filename") or "")
            boxes = self._read_objects(root, path)
        except InvalidValue as error:
            return BoxRow(number, self._find_picture(path, ""), error)
        return BoxRow(number, image, boxes)

    def _find_picture(self, path: Path, name: str) -> Path:
        """The picture that is called as the XML file is; otherwise the one that it names."""
        own = self._by_stem.get(path.stem, [])
        # beside it, or in a folder that lies among the pictures as the XML file's does among these
        inner = path.parent.relative_to(self._annotations)
        own = [each for each in own if each.parent in (path.parent, self._pictures / inner)] or own
        name = name.strip().replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "")
        told = self._by_stem.get(name.rsplit(".", 1)[0], []) if name else []
        if own:
            if told and told[0].stem != path.stem:
                self.findings.renamed.append(f"{path.name} ({name})")
            return own[0]
        return told[0] if told else self._pictures / (name or f"{path.stem}.jpg")

    def _read_objects(self, root: Element, path: Path) -> PictureBoxes:
        from_1 = self._counts_from_1(root)
        self.findings.pixels += from_1
        self.findings.edges += not from_1
        size = root.find("size")
        sides = (
            [_read_whole(size.findtext(name)) for name in ("width", "height")] if size is not None else [0, 0]
        )
        boxes: list[dict[str, Any]] = []
        left_out = []
        for number, thing in enumerate(root.findall("object"), 1):
            where = f"{path.name}: object {number}"
            try:
                label = parse_label(thing.findtext("name"))
            except InvalidValue as error:
                raise InvalidValue(error.reason, f"{where} {error.detail}".strip()) from None
            outline = thing.find("bndbox")
            if outline is None:
                left_out.append(f"object {number} {label!r} has no bndbox")
                continue
            values = [outline.findtext(name) for name in ("xmin", "ymin", "xmax", "ymax")]
            try:
                left, top, right, bottom = map(parse_number, values)
            except InvalidValue as error:
                raise InvalidValue(error.reason, f"{where} {label!r}: {error.detail}".strip()) from None
            if from_1:
                self.findings.zeros += min(left, top) < 1
                left, top = left - 1, top - 1
            box = {"left": left, "top": top, "right": right, "bottom": bottom}
            boxes.append({**box, "label": label, "crowd": _read_whole(thing.findtext("difficult")) == 1})
        return PictureBoxes(boxes, (sides[0], sides[1]) if all(sides) else None, False, tuple(left_out))

    def _counts_from_1(self, root: Element) -> bool:
        if self._source.coordinates == "auto":
            return "VOC" in (root.findtext("source/database") or "")
        return self._source.coordinates == "pixels_from_1"


def _read_whole(text: str | None) -> int:
    """A whole number; 0 where there is none."""
    try:
        return int(float(text)) if text else 0
    except (ValueError, OverflowError):
        return 0

"""COCO's JSON of boxes: pictures, annotations by picture, and classes by number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasft.data.box_config import CocoSource
from kerasft.data.kinds.fields import Field, InvalidValue, parse_label
from kerasft.data.sources.annotation_files import resolve_annotations
from kerasft.data.sources.box_rows import (
    BoxRow,
    Findings,
    PictureFinder,
    build_json_error,
    check_fields,
    list_picture_folders,
    load_json_file,
    read_size,
    show_first,
    yield_batches,
)
from kerasft.data.sources.paths import SourceFile
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.data.sources.rows import RawBatch
from kerasft.errors import DataError

_MANY = 5


def resolve(source: CocoSource, base: Path) -> list[SourceFile]:
    """The annotation files.

    Raises:
        DataError: there are none.
    """
    return resolve_annotations(source, base, (".json",))


def read_rows(file: SourceFile, source: CocoSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the file's pictures with their boxes, numbered from 1 in the order of `images`.

    Outlines (polygons, RLE) are not read: an annotation's `bbox` is its box. `iscrowd` and `area` are kept. A picture
    without annotations is background. What belongs to no picture is told.

    Raises:
        DataError: it is no such file, two pictures or two classes have one id, or the task needs something else.
    """
    check_fields(file, fields)
    content = load_json_file(file, ignored=("segmentation",))
    findings = Findings()
    images, annotations, categories = _take_apart(file, content)
    classes = _read_classes(file, categories, annotations, findings)
    by_image = _group(file, images, annotations, findings)
    finder = PictureFinder(list_picture_folders(file))
    rows = (
        _read_picture(number, image, by_image.get(_key(image.get("id")), []), classes, finder)
        for number, image in enumerate(images, 1)
    )
    return yield_batches(rows, len(images), file, fields, findings)


def _take_apart(file: SourceFile, content: Any) -> list[list[Mapping[str, Any]]]:
    """Pictures, annotations and classes.

    Raises:
        DataError: there are none.
    """
    if isinstance(content, list):
        raise build_json_error(file, "it is a list, as COCO's results are, and not an object with images")
    if not isinstance(content, Mapping):
        raise build_json_error(file, "it is not an object")
    parts = []
    for key in ("images", "annotations", "categories"):
        part = content.get(key)
        if not isinstance(part, list) or not all(isinstance(item, Mapping) for item in part):
            found = ", ".join(map(str, list(content)[:10]))
            raise build_json_error(file, f"it has no list of objects {key!r}; there is {found or 'nothing'}")
        parts.append(part)
    for image in parts[0]:
        if not isinstance(image.get("file_name"), str):
            raise build_json_error(file, f"the picture with the id {image.get('id')!r:.50} has no file_name")
    return parts


def _key(value: Any) -> str:
    """An id, which some tools write as a number in one place and as a text in another."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _read_classes(
    file: SourceFile,
    categories: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    findings: Findings,
) -> dict[str, str]:
    """A class's id → its name."""
    classes: dict[str, str] = {}
    for category in categories:
        key = _key(category.get("id"))
        try:
            name = parse_label(category.get("name"))
        except InvalidValue as error:
            raise build_json_error(file, f"the category {key[:50]} has no name: {error.reason}") from None
        if classes.get(key, name) != name:
            raise DataError(
                f"Two categories have the id {key}: {classes[key]!r} and {name!r}.",
                where=file.name,
                fix="Give each its own id, also in the annotations.",
            )
        classes[key] = name
    same = [name for name, count in Counter(classes.values()).items() if count > 1]
    if same:
        findings.remarks.append(
            f"{file.name}: several ids have one name, and are one class: {show_first(same)}."
        )
    used = {_key(annotation.get("category_id")) for annotation in annotations}
    unused = [f"{name!r} ({key})" for key, name in classes.items() if key not in used]
    if unused:
        findings.remarks.append(
            f"{file.name}: no box is of the class {show_first(unused)}; without boxes in train it is not learned."
        )
    return classes


def _group(
    file: SourceFile,
    images: Sequence[Mapping[str, Any]],
    annotations: Sequence[Mapping[str, Any]],
    findings: Findings,
) -> dict[str, list[Mapping[str, Any]]]:
    """A picture's id → its annotations.

    Raises:
        DataError: two pictures have one id.
    """
    names: dict[str, str] = {}
    for image in images:
        key = _key(image.get("id"))
        if key in names:
            raise DataError(
                f"Two pictures have the id {key[:50]}: {names[key]!r:.100} and {image['file_name']!r:.100}.",
                where=file.name,
                fix="It is not known whose boxes are whose: give each picture its own id, also in the annotations.",
            )
        names[key] = image["file_name"]
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        findings.warnings.append(
            f"{file.name}: file names that several pictures have: {len(twice):,} ({show_first(twice)})."
        )
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    strange = []
    ids: Counter[str] = Counter()
    for annotation in annotations:
        key = _key(annotation.get("image_id"))
        ids[_key(annotation.get("id"))] += "id" in annotation
        if key in names:
            grouped.setdefault(key, []).append(annotation)
        else:
            strange.append(key)
    if strange:
        findings.warnings.append(
            f"{file.name}: annotations of pictures that it does not list, not read: {len(strange):,} of "
            f"{len(annotations):,} (image_id {show_first(list(dict.fromkeys(strange)))})."
        )
    again = [key for key, count in ids.items() if count > 1]
    if again:
        findings.warnings.append(
            f"{file.name}: ids that several annotations have: {len(again):,} ({show_first(again)}). All are read here; "
            "pycocotools keeps one of each."
        )
    _look_for_corners(file, images, grouped, findings)
    return grouped


def _look_for_corners(
    file: SourceFile,
    images: Sequence[Mapping[str, Any]],
    grouped: Mapping[str, Sequence[Mapping[str, Any]]],
    findings: Findings,
) -> None:
    """Warns where `bbox` seems to be left, top, right, bottom."""
    beyond = fitting = 0
    for image in images:
        size_px = read_size(image.get("width"), image.get("height"))
        try:
            boxes = [list(map(float, each["bbox"])) for each in grouped.get(_key(image.get("id")), ())]
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if size_px is None:
            continue
        width, height = size_px
        for box in boxes:
            if len(box) == 4 and (box[0] + box[2] > width + 1 or box[1] + box[3] > height + 1):
                beyond += 1
                fitting += box[0] < box[2] <= width + 1 and box[1] < box[3] <= height + 1
    if fitting >= _MANY and fitting == beyond:
        findings.warnings.append(
            f"{file.name}: {beyond:,} boxes reach beyond their pictures, and all of them would fit if bbox were left, "
            "top, right, bottom. COCO's bbox is left, top, width, height: check how the file was written."
        )


def _read_picture(
    number: int,
    image: Mapping[str, Any],
    annotations: Sequence[Mapping[str, Any]],
    classes: Mapping[str, str],
    finder: PictureFinder,
) -> BoxRow:
    path = finder.find(image["file_name"], image["file_name"].replace("\\", "/").rsplit("/", 1)[-1])
    boxes: list[Mapping[str, Any]] = []
    left_out = []
    for annotation in annotations:
        key = _key(annotation.get("category_id"))
        name = f"annotation {_key(annotation.get('id'))[:50]}"
        if key not in classes:
            detail = f"{name} has the category_id {key[:50]}; there are {show_first(list(classes))}"
            return BoxRow(number, path, InvalidValue("unknown class number", detail))
        if not annotation.get("bbox"):
            left_out.append(f"{name} ({classes[key]!r}) has no bbox")
            continue
        boxes.append(
            {
                "bbox": annotation["bbox"],
                "label": classes[key],
                "crowd": annotation.get("iscrowd", False),
                "area": annotation.get("area"),
            }
        )
    size_px = read_size(image.get("width"), image.get("height"))
    return BoxRow(number, path, PictureBoxes(boxes, size_px, False, tuple(left_out)))

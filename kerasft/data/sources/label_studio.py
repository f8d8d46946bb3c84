"""Label Studio's exports of boxes: JSON (tasks with annotations) and JSON-MIN."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from kerasft.data.box_config import LabelStudioSource
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.kinds.number import parse_number
from kerasft.data.sources.annotation_files import PICTURE_ENDINGS, resolve_annotations
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

_UPLOAD = re.compile(r"[0-9a-f]{8}-(.+)")
"""What Label Studio puts before the name of a file that is uploaded."""
_BOX_KEYS = ("x", "y", "width", "height")
_LABELS = "rectanglelabels"


def resolve(source: LabelStudioSource, base: Path) -> list[SourceFile]:
    """The exported files.

    Raises:
        DataError: there are none.
    """
    return resolve_annotations(source, base, (".json",))


def read_rows(file: SourceFile, source: LabelStudioSource, fields: Sequence[Field]) -> Iterator[RawBatch]:
    """Streams the tasks that have an annotation, numbered by their place in the file, from 1.

    Of several annotations of a task the one marked as ground truth is taken, otherwise the first. An annotation without
    regions says that the picture is background. Of a rotated rectangle the box around it is taken.

    Raises:
        DataError: it is no such file, or the task needs something else.
    """
    check_fields(file, fields)
    content = load_json_file(file)
    if not isinstance(content, list) or not all(isinstance(task, Mapping) for task in content):
        raise build_json_error(file, "it is not a list of tasks")
    findings = _Findings(file)
    tasks = [
        (number, task, regions)
        for number, task in enumerate(content, 1)
        if (regions := _read_regions(task, findings)) is not None
    ]
    finder = PictureFinder(list_picture_folders(file))
    rows = (_read_task(number, task, regions, finder, findings) for number, task, regions in tasks)
    return yield_batches(rows, len(tasks), file, fields, findings)


class _Findings(Findings):
    """What is said of an export as a whole.

    Args:
        file: the export.
    """

    def __init__(self, file: SourceFile):
        super().__init__()
        self._name = file.name
        self.unlabelled: list[str] = []
        """Ids of tasks without an annotation."""
        self.several = 0
        """Tasks with more than one."""
        self.others: dict[str, int] = {}
        """Kind of region that is not read → how often it occurs."""
        self.rotated = 0
        """Rectangles of which the box around them is taken."""

    def conclude(self) -> None:
        if self.unlabelled:
            self.warnings.append(
                f"{self._name}: tasks without an annotation (a prediction is none), not read: "
                f"{len(self.unlabelled):,} ({show_first(self.unlabelled)}). Submit an empty annotation where there is "
                "nothing to detect."
            )
        if self.several:
            self.remarks.append(
                f"{self._name}: tasks with several annotations: {self.several:,}. The one marked as ground truth is "
                "taken, otherwise the first."
            )
        if self.others:
            listed = ", ".join(f"{count:,} {kind}" for kind, count in self.others.items())
            self.remarks.append(f"{self._name}: regions that are no rectangles, not read: {listed}.")
        if self.rotated:
            self.remarks.append(
                f"{self._name}: rotated rectangles, of which the box around them is taken: {self.rotated:,}."
            )


def _read_regions(task: Mapping[str, Any], findings: _Findings) -> list[Any] | None:
    """What a task's annotation holds; None where it has none."""
    name = f"task {task.get('id')!r:.30}"
    if "data" not in task:  # JSON-MIN
        held = [value for value in task.values() if _holds_rectangles(value)]
        if not held:
            findings.unlabelled.append(name)
            return None
        return [{**region, "type": _LABELS, "value": region} for region in held[0]]
    given = task.get("annotations", task.get("completions"))
    given = given if isinstance(given, list) else []
    usable = [
        each
        for each in given
        if isinstance(each, Mapping)
        and not each.get("was_cancelled")
        and isinstance(each.get("result"), list)
    ]
    if not usable:
        findings.unlabelled.append(name)
        return None
    findings.several += len(usable) > 1
    chosen = next((each for each in usable if each.get("ground_truth")), usable[0])
    return [region for region in chosen["result"] if isinstance(region, Mapping)]


def _holds_rectangles(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, Mapping) and _LABELS in each for each in value)
    )


def _read_task(
    number: int,
    task: Mapping[str, Any],
    regions: Sequence[Mapping[str, Any]],
    finder: PictureFinder,
    findings: _Findings,
) -> BoxRow:
    address = _find_address(task.get("data", task))
    path = finder.find(*_list_names(address))
    if not address:
        return BoxRow(number, path, InvalidValue("no picture named", "the task's data names no picture"))
    boxes: list[Mapping[str, Any]] = []
    left_out = []
    size_px = None
    try:
        for place, region in enumerate(regions, 1):
            kind, value = region.get("type"), region.get("value")
            if kind not in ("rectanglelabels", "rectangle") or not isinstance(value, Mapping):
                findings.others[str(kind)[:50]] = findings.others.get(str(kind)[:50], 0) + 1
                continue
            if region.get("image_rotation"):
                detail = (
                    f"region {place}: by {region['image_rotation']!r:.20} degrees; its boxes turn with it"
                )
                raise InvalidValue("picture turned in Label Studio", detail)
            size_px = read_size(region.get("original_width"), region.get("original_height")) or size_px
            labels = value.get(_LABELS)
            if not isinstance(labels, list) or not labels:
                left_out.append(f"region {place} has no label")
                continue
            sides = _read_rectangle(value, size_px, place)
            if sides is None:
                left_out.append(
                    f"region {place} {labels[0]!r:.50} is rotated, and the picture's size is not told"
                )
                continue
            findings.rotated += bool(value.get("rotation"))
            boxes += [{**sides, "label": label} for label in labels]
    except InvalidValue as error:
        return BoxRow(number, path, error)
    return BoxRow(number, path, PictureBoxes(boxes, size_px, True, tuple(left_out)))


def _find_address(data: Any) -> str:
    """What a task's data calls its picture; empty where it names none."""
    if not isinstance(data, Mapping):
        return ""
    texts = {key: value for key, value in data.items() if isinstance(value, str)}
    if "image" in texts:
        return texts["image"]
    endings = (value for value in texts.values() if _list_names(value)[-1].lower().endswith(PICTURE_ENDINGS))
    return next(endings, "")


def _list_names(address: str) -> list[str]:
    """What a picture's file may be called below its folder, the longest first.

    `/data/upload/3/1a2b3c4d-cat.jpg` is `cat.jpg`, `/data/local-files/?d=pets/cat.jpg` is `pets/cat.jpg`.
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return [address]
    path = (parse_qs(parts.query).get("d") or [unquote(parts.path)])[0] if "://" in address else address
    if address.startswith("/data/"):
        path = (parse_qs(parts.query).get("d") or [unquote(parts.path)])[0]
    pieces = [piece for piece in path.replace("\\", "/").split("/") if piece not in ("", ".", "..")]
    tails = ["/".join(pieces[start:]) for start in range(len(pieces))]
    uploaded = _UPLOAD.fullmatch(pieces[-1]) if pieces else None
    return [address, *tails, *([uploaded[1]] if uploaded else [])]


def _read_rectangle(
    value: Mapping[str, Any], size_px: tuple[int, int] | None, place: int
) -> dict[str, float] | None:
    """The box around a rectangle, as shares of the picture's size; None where that cannot be told.

    Label Studio gives percents, and rotates clockwise about the upper left corner, in pixels.
    """
    try:
        left, top, width, height = (parse_number(value.get(name)) / 100 for name in _BOX_KEYS)
        angle = math.radians(parse_number(value.get("rotation") or 0))
    except InvalidValue as error:
        raise InvalidValue(error.reason, f"region {place}: {error.detail}") from None
    if not angle:
        return {"left": left, "top": top, "right": left + width, "bottom": top + height}
    if size_px is None or min(size_px) <= 0:
        return None
    across, down = width * size_px[0], height * size_px[1]
    corners = [(x, y) for x in (0.0, across) for y in (0.0, down)]
    xs = [left + (x * math.cos(angle) - y * math.sin(angle)) / size_px[0] for x, y in corners]
    ys = [top + (x * math.sin(angle) + y * math.cos(angle)) / size_px[1] for x, y in corners]
    return {"left": min(xs), "top": min(ys), "right": max(xs), "bottom": max(ys)}

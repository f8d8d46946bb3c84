"""COCO's results: a JSON list with an object for each box that was found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.data.box_files.found import FoundPicture
from kerasft.files import write_text
from kerasft.printable import format_json


def write(path: Path, pictures: Sequence[FoundPicture], label_names: Sequence[str]) -> None:
    """Writes the file; see `write_boxes`.

    Ids count from 1, in the order of pictures and classes. `file_name` and `category_name` stand beside them, which
    pycocotools passes over, so that ids of another file can be put in their place.
    """
    results: list[dict[str, Any]] = []
    for number, picture in enumerate(pictures, 1):
        for box in picture.boxes:
            left, top = box["left"], box["top"]
            results.append(
                {
                    "image_id": number,
                    "category_id": label_names.index(box["label"]) + 1,
                    "bbox": [left, top, box["right"] - left, box["bottom"] - top],
                    "score": box["score"],
                    "file_name": picture.name,
                    "category_name": box["label"],
                }
            )
    lines = ",\n".join(format_json(result, allow_nan=False) for result in results)
    write_text(path, f"[\n{lines}\n]\n" if lines else "[]\n")

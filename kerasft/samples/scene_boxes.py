"""The boxes of drawn scenes as COCO's JSON, so that they are read at once as data for object detection."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def name_instances(split: str) -> str:
    """The file of a split's boxes."""
    return f"instances_{split}.json"


def format_instances(rows: Sequence[Mapping[str, Any]], size_px: int, names: Sequence[str]) -> bytes:
    """The content of such a file.

    Args:
        rows: the split's lines of scenes.jsonl.
        size_px: height and width of its pictures.
        names: the objects' classes; their ids count from 1, as COCO's do.
    """
    ids = {name: number for number, name in enumerate(names, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        images.append({"id": number, "file_name": row["path"], "width": size_px, "height": size_px})
        for thing in row["objects"]:
            left, top, right, bottom = thing["box"]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": ids[thing["class"]],
                    "bbox": [left, top, right - left, bottom - top],
                    "area": thing["area"],
                    "iscrowd": 0,
                }
            )
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": ids[name], "name": name} for name in names],
    }
    return (json.dumps(content) + "\n").encode()

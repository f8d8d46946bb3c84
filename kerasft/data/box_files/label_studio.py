"""Label Studio's pre-annotations: tasks with a prediction, to be imported and corrected by people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kerasft.data.box_files.found import FoundPicture
from kerasft.files import write_json

FROM_NAME, TO_NAME = "label", "image"
"""The names that the labelling config must have: `<Image name="image" value="$image"/>` and
`<RectangleLabels name="label" toName="image">`."""


def write(path: Path, pictures: Sequence[FoundPicture], label_names: Sequence[str]) -> None:
    """Writes the file; see `write_boxes`. Sides are percents of the picture's size."""
    write_json(path, [_build_task(picture) for picture in pictures])


def _build_task(picture: FoundPicture) -> dict[str, Any]:
    width, height = picture.size_px
    result = [
        {
            "id": f"box{number}",
            "type": "rectanglelabels",
            "from_name": FROM_NAME,
            "to_name": TO_NAME,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": box["score"],
            "value": {
                "x": 100 * box["left"] / width,
                "y": 100 * box["top"] / height,
                "width": 100 * (box["right"] - box["left"]) / width,
                "height": 100 * (box["bottom"] - box["top"]) / height,
                "rotation": 0,
                "rectanglelabels": [box["label"]],
            },
        }
        for number, box in enumerate(picture.boxes, 1)
    ]
    scores = [box["score"] for box in picture.boxes]
    prediction: dict[str, Any] = {"model_version": "kerasft", "result": result}
    if scores:
        prediction["score"] = sum(scores) / len(scores)
    return {"data": {TO_NAME: picture.name}, "predictions": [prediction]}

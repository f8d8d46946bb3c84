"""YOLO's text files: `labels/<picture>.txt` with a line for each box, and `classes.txt`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from kerasft.data.box_files.found import FoundPicture, new_folder


def write(path: Path, pictures: Sequence[FoundPicture], label_names: Sequence[str]) -> None:
    """Writes the folder; see `write_boxes`.

    A line is the class's number, the box's centre and size as shares of the picture's size, and the score.
    """
    with new_folder(path, pictures) as (folder, stems):
        (folder / "classes.txt").write_text("".join(f"{name}\n" for name in label_names), "utf-8")
        (folder / "labels").mkdir()
        for stem, picture in zip(stems, pictures, strict=True):
            width, height = picture.size_px
            lines = []
            for box in picture.boxes:
                left, top, right, bottom = (box[side] for side in ("left", "top", "right", "bottom"))
                shares = (
                    (left + right) / 2 / width,
                    (top + bottom) / 2 / height,
                    (right - left) / width,
                    (bottom - top) / height,
                )
                values = " ".join(f"{value:.9g}" for value in (*shares, box["score"]))
                lines.append(f"{label_names.index(box['label'])} {values}\n")
            (folder / "labels" / f"{stem}.txt").write_text("".join(lines), "utf-8")

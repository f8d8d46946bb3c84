"""Pictures with boxes, drawn for tests, and what annotation tools write of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

from PIL import Image

from kerasft.data.box_config import BoxSource
from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.box_splits import take_box_splits
from kerasft.data.sources import read_rows, resolve_source
from kerasft.progress import Progress, Silent
from kerasft.samples.scenes import draw_scene, list_classes

BOX_FIELDS = (
    Field("image", "image"),
    Field("boxes", "boxes", "target"),
    Field("classes", "labels", "target", of="boxes"),
)
WIDTH, HEIGHT = 128, 96
CLASSES = list_classes("shape")


class Drawn(NamedTuple):
    """A picture and its boxes."""

    name: str
    image: Image.Image
    boxes: list[tuple[str, tuple[int, int, int, int]]]
    """Class; left, top, right, bottom."""


def draw_pictures(count: int) -> list[Drawn]:
    """Scenes that are wider than high, so that a mix-up of the two shows; the third has no box."""
    drawn = []
    for index in range(count):
        scene = draw_scene(5, index, size_px=WIDTH)
        boxes = [
            (thing.name, (left, top, right, min(bottom, HEIGHT)))
            for thing in scene.objects
            for left, top, right, bottom in [thing.box]
            if top < HEIGHT - 2
        ]
        image = Image.fromarray(scene.image[:HEIGHT])
        drawn.append(Drawn(f"scene {index:02}.png", image, [] if index == 2 else boxes))
    return drawn


def save_pictures(folder: Path, pictures: Sequence[Drawn]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        picture.image.save(folder / picture.name)


def write_coco(folder: Path, pictures: Sequence[Drawn]) -> dict[str, Any]:
    save_pictures(folder / "images", pictures)
    content = build_coco(pictures)
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return {"format": "coco", "path": "annotations/instances_train.json"}


def build_coco(pictures: Sequence[Drawn]) -> dict[str, Any]:
    """Ids neither begin at 0 nor follow the order of names, as in COCO itself."""
    ids = {name: 90 - number for number, name in enumerate(CLASSES)}
    content: dict[str, Any] = {
        "images": [
            {"id": 100 + number, "file_name": picture.name, "width": WIDTH, "height": HEIGHT}
            for number, picture in enumerate(pictures)
        ],
        "annotations": [],
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }
    for number, picture in enumerate(pictures):
        for label, (left, top, right, bottom) in picture.boxes:
            outline = [[left, top, right, top, right, bottom, left, bottom]]
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": 100 + number,
                    "category_id": ids[label],
                    "bbox": [left, top, right - left, bottom - top],
                    "segmentation": outline,
                    "area": (right - left) * (bottom - top),
                    "iscrowd": 0,
                }
            )
    return content


def build_xml(picture: Drawn, database: str = "Unknown", extra: str = "") -> str:
    objects = "".join(
        f"<object><name>{escape(label)}</name><difficult>0</difficult><bndbox><xmin>{left}</xmin><ymin>{top}</ymin>"
        f"<xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for label, (left, top, right, bottom) in picture.boxes
    )
    width, height = picture.image.size
    return (
        f"<annotation><filename>{picture.name}</filename><source><database>{database}</database></source>"
        f"<size><width>{width}</width><height>{height}</height><depth>3</depth></size>{objects}{extra}</annotation>"
    )


def write_voc(folder: Path, pictures: Sequence[Drawn], database: str = "Unknown") -> dict[str, Any]:
    save_pictures(folder / "JPEGImages", pictures)
    (folder / "Annotations").mkdir()
    (folder / "ImageSets" / "Main").mkdir(parents=True)
    for picture in pictures:
        stem = Path(picture.name).stem
        (folder / "Annotations" / f"{stem}.xml").write_text(build_xml(picture, database))
    stems = "".join(f"{Path(picture.name).stem}\n" for picture in pictures)
    (folder / "ImageSets" / "Main" / "train.txt").write_text(stems)
    return {"format": "voc", "path": ".", "split": "train"}


def write_voc_from_1(folder: Path, pictures: Sequence[Drawn]) -> dict[str, Any]:
    """As Pascal VOC itself: the first and the last pixel, counted from 1."""
    counted = [
        picture._replace(
            boxes=[
                (label, (left + 1, top + 1, right, bottom))
                for label, (left, top, right, bottom) in picture.boxes
            ]
        )
        for picture in pictures
    ]
    return write_voc(folder, counted, "The VOC2007 Database")


def build_yolo_lines(picture: Drawn) -> str:
    """Three digits, as few tools write fewer."""
    lines = []
    for label, (left, top, right, bottom) in picture.boxes:
        shares = ((left + right) / 2 / WIDTH, (top + bottom) / 2 / HEIGHT)
        sizes = ((right - left) / WIDTH, (bottom - top) / HEIGHT)
        lines.append(" ".join([str(CLASSES.index(label)), *(f"{value:.3f}" for value in (*shares, *sizes))]))
    return "".join(f"{line}\n" for line in lines)


def write_yolo(folder: Path, pictures: Sequence[Drawn]) -> dict[str, Any]:
    save_pictures(folder / "images" / "train", pictures)
    (folder / "labels" / "train").mkdir(parents=True)
    for picture in pictures:
        (folder / "labels" / "train" / f"{Path(picture.name).stem}.txt").write_text(build_yolo_lines(picture))
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(CLASSES))
    (folder / "data.yaml").write_text(f"path: .\ntrain: images/train\nnc: {len(CLASSES)}\nnames:\n{names}")
    return {"format": "yolo", "path": "data.yaml", "split": "train"}


def build_label_studio(pictures: Sequence[Drawn]) -> list[dict[str, Any]]:
    tasks = []
    for number, picture in enumerate(pictures, 1):
        result = [
            {
                "type": "rectanglelabels",
                "original_width": WIDTH,
                "original_height": HEIGHT,
                "image_rotation": 0,
                "value": {
                    "x": 100 * left / WIDTH,
                    "y": 100 * top / HEIGHT,
                    "width": 100 * (right - left) / WIDTH,
                    "height": 100 * (bottom - top) / HEIGHT,
                    "rotation": 0,
                    "rectanglelabels": [label],
                },
            }
            for label, (left, top, right, bottom) in picture.boxes
        ]
        address = f"/data/upload/3/1a2b3c4d-{picture.name.replace(' ', '%20')}"
        tasks.append({"id": number, "data": {"image": address}, "annotations": [{"result": result}]})
    return tasks


def write_label_studio(folder: Path, pictures: Sequence[Drawn]) -> dict[str, Any]:
    save_pictures(folder / "pictures", pictures)
    (folder / "export.json").write_text(json.dumps(build_label_studio(pictures)))
    return {"format": "label_studio", "path": "export.json", "images": "pictures"}


def write_csv(folder: Path, pictures: Sequence[Drawn]) -> dict[str, Any]:
    save_pictures(folder, pictures)
    lines = ["filename,class,xmin,ymin,xmax,ymax"]
    for picture in pictures:
        lines += [f"{picture.name},{label},{','.join(map(str, sides))}" for label, sides in picture.boxes]
        lines += [] if picture.boxes else [f"{picture.name},,,,,"]
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return {"format": "box_csv", "path": "boxes.csv"}


def write_retinanet(folder: Path, pictures: Sequence[Drawn]) -> dict[str, Any]:
    save_pictures(folder / "png", pictures)
    lines = []
    for picture in pictures:
        lines += [f"png/{picture.name},{','.join(map(str, sides))},{label}" for label, sides in picture.boxes]
        lines += [] if picture.boxes else [f"png/{picture.name},,,,,"]
    (folder / "boxes.csv").write_text("\n".join(lines) + "\n")
    return {"format": "box_csv", "path": "boxes.csv"}


def write_json_lines(folder: Path, pictures: Sequence[Drawn]) -> dict[str, Any]:
    save_pictures(folder, pictures)
    sides = ("left", "top", "right", "bottom")
    rows = [
        {
            "image": picture.name,
            "boxes": [{**dict(zip(sides, box, strict=True)), "label": label} for label, box in picture.boxes],
        }
        for picture in pictures
    ]
    (folder / "boxes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {"format": "jsonl", "path": "boxes.jsonl"}


WRITERS = {
    "coco": write_coco,
    "voc": write_voc,
    "voc_from_1": write_voc_from_1,
    "yolo": write_yolo,
    "label_studio": write_label_studio,
    "box_csv": write_csv,
    "retinanet": write_retinanet,
    "jsonl": write_json_lines,
}


class Read(NamedTuple):
    """What a reader yields of a source of boxes."""

    pictures: dict[str, Any]
    """A picture's file name → its raw `PictureBoxes`."""
    rejects: list[tuple[int, str, str]]
    remarks: list[str]
    warnings: list[str]
    rows: list[tuple[Path, Any]]
    """Path and boxes of each picture, also of those whose files have one name."""


def read_boxes(folder: Path, source: dict[str, Any], progress: Progress | None = None) -> Read:
    """The rows of `train`."""
    config = take_box_splits(DataConfig.model_validate({"train": source}), folder, progress or Silent())
    settled = config.train
    assert isinstance(settled, BoxSource)
    read = Read({}, [], [], [], [])
    for file in resolve_source(settled, folder):
        for batch in read_rows(file, settled, BOX_FIELDS[:2]):
            for image, boxes in batch.values:
                read.pictures[image.name] = boxes
                read.rows.append((image, boxes))
            read.rejects.extend((reject.row, reject.reason, reject.detail) for reject in batch.rejects)
            read.remarks.extend(batch.remarks)
            read.warnings.extend(batch.warnings)
    return read

"""Boxes that a model found, written in every format and read back: they are equal."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from box_makers import read_boxes
from PIL import Image

from kerasft.data.box_files import FoundPicture, write_boxes
from kerasft.data.sources.picture_boxes import PictureBoxes
from kerasft.data.sources.plain_xml import load_xml
from kerasft.errors import ConfigError

NAMES = ("mug & cup", "<ring>", "Ähre", "größer als 1")
SIDES = ("left", "top", "right", "bottom")


@pytest.fixture
def found() -> list[FoundPicture]:
    """Twelve pictures, of which the first has no box."""
    random = np.random.default_rng(0)
    pictures = []
    for number in range(12):
        width, height = random.integers(20, 700, 2).tolist()
        boxes = []
        for _ in range(number):
            left, right = sorted(random.uniform(0, width, 2).astype(np.float32).tolist())
            top, bottom = sorted(random.uniform(0, height, 2).astype(np.float32).tolist())
            sides = dict(zip(SIDES, (left, top, right, bottom), strict=True))
            score = float(np.float32(random.random()))
            boxes.append({"label": NAMES[random.integers(len(NAMES))], "score": score, **sides})
        pictures.append(FoundPicture(f"bild {number:02}.png", (width, height), boxes))
    return pictures


def save_pictures(folder: Path, found: list[FoundPicture]) -> None:
    folder.mkdir(exist_ok=True)
    for picture in found:
        Image.new("RGB", picture.size_px).save(folder / picture.name)


def check_same(read: dict[str, PictureBoxes], found: list[FoundPicture]) -> None:
    assert sorted(read) == [picture.name for picture in found]
    for picture in found:
        given = read[picture.name]
        sizes = picture.size_px * 2 if given.in_shares else (1, 1, 1, 1)
        assert [box["label"] for box in given.boxes] == [box["label"] for box in picture.boxes]
        sides = [[box[side] * size for side, size in zip(SIDES, sizes, strict=True)] for box in given.boxes]
        gold = [[box[side] for side in SIDES] for box in picture.boxes]
        np.testing.assert_allclose(np.reshape(sides, (-1, 4)), np.reshape(gold, (-1, 4)), atol=1e-4)


@pytest.mark.parametrize("name", ["a\x01.png", "a\n.png", os.fsdecode(b"a\xff.png")])
def test_voc_of_a_picture_whose_name_is_no_text_is_still_xml(tmp_path, name):
    write_boxes("voc", tmp_path / "voc", [FoundPicture(name, (8, 8), [])], NAMES)
    (path,) = (tmp_path / "voc" / "Annotations").iterdir()
    assert load_xml(path).findtext("filename", "").isprintable()


def test_voc_is_read_back_equal(tmp_path, found):
    write_boxes("voc", tmp_path / "voc", found, NAMES)
    save_pictures(tmp_path / "voc" / "JPEGImages", found)
    read = read_boxes(tmp_path, {"format": "voc", "path": "voc"})
    check_same(read.pictures, found)
    assert {boxes.size_px for boxes in read.pictures.values()} == {picture.size_px for picture in found}


def test_yolo_is_read_back_equal(tmp_path, found):
    write_boxes("yolo", tmp_path / "yolo", found, NAMES)
    save_pictures(tmp_path / "yolo" / "images", found)
    read = read_boxes(tmp_path, {"format": "yolo", "path": "yolo"})
    check_same(read.pictures, found)
    first = (tmp_path / "yolo" / "labels" / "bild 01.txt").read_text().split()
    assert float(first[5]) == pytest.approx(found[1].boxes[0]["score"], abs=1e-8)


def test_label_studio_pre_annotations_are_read_back_equal_once_they_are_accepted(tmp_path, found):
    write_boxes("label_studio", tmp_path / "tasks.json", found, NAMES)
    save_pictures(tmp_path, found)
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    scores = [[region["score"] for region in task["predictions"][0]["result"]] for task in tasks]
    assert scores == [[box["score"] for box in picture.boxes] for picture in found]
    for task in tasks:
        task["annotations"] = task.pop("predictions")
    (tmp_path / "accepted.json").write_text(json.dumps(tasks))
    check_same(read_boxes(tmp_path, {"format": "label_studio", "path": "accepted.json"}).pictures, found)


def test_coco_results_are_those_that_were_found(tmp_path, found):
    write_boxes("coco", tmp_path / "results.json", found, NAMES)
    results = json.loads((tmp_path / "results.json").read_text())
    assert len(results) == sum(len(picture.boxes) for picture in found)
    read: dict[str, list] = {picture.name: [] for picture in found}
    for result in results:
        assert found[result["image_id"] - 1].name == result["file_name"]
        assert NAMES[result["category_id"] - 1] == result["category_name"]
        left, top, width, height = result["bbox"]
        sides = dict(zip(SIDES, (left, top, left + width, top + height), strict=True))
        read[result["file_name"]].append(
            {"label": result["category_name"], "score": result["score"], **sides}
        )
    check_same({name: PictureBoxes(boxes) for name, boxes in read.items()}, found)
    assert [[box["score"] for box in read[picture.name]] for picture in found] == [
        [box["score"] for box in picture.boxes] for picture in found
    ]


def test_no_box_at_all_is_written_as_none(tmp_path):
    write_boxes("coco", tmp_path / "results.json", [FoundPicture("a.png", (8, 8), [])], NAMES)
    assert json.loads((tmp_path / "results.json").read_text()) == []


def test_an_unknown_format_or_class_is_refused(tmp_path, found):
    with pytest.raises(ValueError, match="format must be one of coco, yolo, voc, label_studio; got 'csv'"):
        write_boxes("csv", tmp_path / "a", found, NAMES)
    with pytest.raises(ValueError, match="is not among ring"):
        write_boxes("coco", tmp_path / "a", found, ["ring"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("format", ["yolo", "voc"])
def test_a_folder_is_written_whole_or_not_at_all(tmp_path, found, format):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not empty"):
        write_boxes(format, tmp_path / "mine", found, NAMES)
    with pytest.raises(ConfigError, match=r"a/1\.png and b/1\.png would both have the file 1"):
        write_boxes(
            format, tmp_path / "new", [FoundPicture(f"{folder}/1.png", (8, 8), []) for folder in "ab"], NAMES
        )
    wrong = [found[3]._replace(boxes=[{**found[3].boxes[0], "left": None}])]
    with pytest.raises(TypeError):
        write_boxes(format, tmp_path / "new", wrong, NAMES)
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "notes.txt"]

"""The same pictures and boxes through every format: the examples are equal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from box_makers import (
    BOX_FIELDS,
    CLASSES,
    HEIGHT,
    WIDTH,
    WRITERS,
    build_coco,
    build_xml,
    build_yolo_lines,
    draw_pictures,
    save_pictures,
    write_coco,
    write_voc,
    write_yolo,
)

from kerasft.data.config import DataConfig
from kerasft.data.prepare.dataset import compute_data_fingerprint, prepare_dataset
from kerasft.errors import DataError

COUNT = 30
FOUND_BY_AUTO = [name for name in WRITERS if name not in ("jsonl", "label_studio")]


@pytest.fixture(scope="module")
def pictures():
    return draw_pictures(COUNT)


def prepare(folder, data, progress):
    shares = {"validation_share": 0, "test_share": 0, "near_duplicates": False}
    config = DataConfig.model_validate({**shares, **data})
    return prepare_dataset(config, BOX_FIELDS, folder / "prepared", base=folder, seed=0, progress=progress)


def list_examples(dataset, split="train"):
    """A picture's file name → its pixels' file, and its boxes by class."""
    (batch,) = dataset.split(split).iterate()
    names = dataset.label_names
    found = {}
    for example in batch:
        boxes = [(names[label], sides, crowd, area) for *sides, label, crowd, area in example["boxes"]]
        found[Path(example["name"]).name] = (example["image"], boxes)
    return found


@pytest.mark.parametrize("format", WRITERS)
def test_every_format_gives_the_same_examples(tmp_path, progress, pictures, format):
    source = WRITERS[format](tmp_path, pictures)
    dataset = prepare(tmp_path, {"train": source}, progress)
    assert dataset.label_names == tuple(sorted({label for picture in pictures for label, _ in picture.boxes}))
    found = list_examples(dataset)
    assert sorted(found) == [picture.name for picture in pictures]
    # three digits of a share are half a thousandth of the picture's size
    slack = (WIDTH / 1000, HEIGHT / 1000) * 2 if format == "yolo" else (1e-4,) * 4
    assert max(slack) < 0.5
    for picture in pictures:
        data, boxes = found[picture.name]
        assert data == next(tmp_path.rglob(picture.name)).read_bytes()
        assert [label for label, *_ in boxes] == [label for label, _ in picture.boxes]
        for (_, sides, crowd, area), (_, gold) in zip(boxes, picture.boxes, strict=True):
            assert all(abs(a - b) <= s for a, b, s in zip(sides, gold, slack, strict=True))
            assert not crowd
            assert area == pytest.approx((sides[2] - sides[0]) * (sides[3] - sides[1]), rel=0.1)
    assert not progress.warnings or "few" in str(progress.warnings) or "lacks" in str(progress.warnings)
    notes = dataset.manifest["splits"]["train"]["notes"]
    assert not {note for note in notes if "box" in note} or format == "yolo"


@pytest.mark.parametrize("format", FOUND_BY_AUTO)
def test_auto_says_which_format_a_folder_has(tmp_path, progress, pictures, format):
    WRITERS[format](tmp_path, pictures)
    dataset = prepare(tmp_path, {"train": {"format": "auto", "path": "."}}, progress)
    assert len(dataset.split("train")) == COUNT
    expected = {"voc_from_1": "voc", "retinanet": "box_csv"}.get(format, format)
    assert any(note.endswith(f"(format: {expected}).") for note in progress.notes)


def test_auto_takes_the_splits_of_a_folder(tmp_path, progress, pictures):
    write_voc(tmp_path, pictures)
    lists = tmp_path / "ImageSets" / "Main"
    stems = (lists / "train.txt").read_text().splitlines()
    for name, part in {"train": stems[:20], "val": stems[20:26], "test": stems[26:]}.items():
        (lists / f"{name}.txt").write_text("\n".join(part) + "\n")
    dataset = prepare(tmp_path, {"train": {"format": "auto", "path": "."}}, progress)
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {
        "train": 20,
        "validation": 6,
        "test": 4,
    }
    assert "The folder . contains splits: train is its train, validation is its val, test is its test." in (
        progress.notes
    )
    assert sorted(list_examples(dataset, "test")) == [f"{stem}.png" for stem in stems[26:]]


def write_exported_split(folder, format, pictures):
    """A split as Roboflow exports it."""
    if format == "coco":
        save_pictures(folder, pictures)
        (folder / "_annotations.coco.json").write_text(json.dumps(build_coco(pictures)))
    elif format == "voc":
        save_pictures(folder, pictures)
        for picture in pictures:
            (folder / picture.name).with_suffix(".xml").write_text(build_xml(picture))
    else:
        save_pictures(folder / "images", pictures)
        (folder / "labels").mkdir()
        for picture in pictures:
            (folder / "labels" / picture.name).with_suffix(".txt").write_text(build_yolo_lines(picture))


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_a_folder_for_each_split_is_recognised(tmp_path, progress, pictures, format):
    parts = {"train": pictures[:20], "valid": pictures[20:26], "test": pictures[26:]}
    for name, part in parts.items():
        write_exported_split(tmp_path / name, format, part)
    (tmp_path / "README.dataset.txt").write_text("exported")
    if format == "yolo":
        paths = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
        (tmp_path / "data.yaml").write_text(f"{paths}nc: {len(CLASSES)}\nnames: {json.dumps(CLASSES)}\n")
    dataset = prepare(tmp_path, {"train": {"format": "auto", "path": "."}}, progress)
    for name, part in zip(("train", "validation", "test"), parts.values(), strict=True):
        found = list_examples(dataset, name)
        assert sorted(found) == [picture.name for picture in part]
        for picture in part:
            assert [label for label, *_ in found[picture.name][1]] == [label for label, _ in picture.boxes]


def test_a_folder_with_two_formats_is_refused_by_their_names(tmp_path, progress, pictures):
    write_voc(tmp_path, pictures[:3])
    write_coco(tmp_path, pictures[:3])
    with pytest.raises(DataError, match="several formats: coco, voc"):
        prepare(tmp_path, {"train": {"format": "auto", "path": "."}}, progress)


def test_a_folder_without_boxes_is_refused_with_what_was_looked_for(tmp_path, progress):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"No boxes in pictures were recognised: notes\.txt") as error:
        prepare(tmp_path, {"train": {"format": "auto", "path": "."}}, progress)
    assert "image_folder" in error.value.fix


def test_a_folder_of_pictures_by_class_is_told_to_be_one_without_boxes(tmp_path, progress, pictures):
    save_pictures(tmp_path / "all" / "mug", pictures[:2])
    with pytest.raises(DataError, match="pictures and their classes, and the task needs boxes") as error:
        prepare(tmp_path, {"train": {"format": "image_folder", "path": "all"}}, progress)
    assert error.value.fix == "Set format: auto, which finds the annotation files of boxes."


def test_a_changed_label_file_is_seen_by_the_fingerprint(tmp_path, pictures):
    source = write_yolo(tmp_path, pictures[:3])
    config = DataConfig.model_validate({"train": source})
    before = compute_data_fingerprint(config, tmp_path)
    assert compute_data_fingerprint(config, tmp_path) == before
    next((tmp_path / "labels" / "train").glob("*00.txt")).write_text("0 0.5 0.5 0.25 0.25\n")
    assert compute_data_fingerprint(config, tmp_path) != before


def test_bccd_is_read_by_its_official_split(tmp_path, progress):
    base = Path(__file__).resolve().parents[4] / "shared" / "data"
    if not (base / "bccd").is_dir():
        pytest.skip("needs BCCD in ../shared/data/bccd beside the checkout")
    sources = {
        name: {"format": "voc", "path": "bccd", "split": split}
        for name, split in {"train": "train", "validation": "val", "test": "test"}.items()
    }
    config = DataConfig.model_validate({**sources, "near_duplicates": False})
    dataset = prepare_dataset(config, BOX_FIELDS, tmp_path / "data", base=base, seed=0, progress=progress)
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {
        "train": 205,
        "validation": 87,
        "test": 72,
    }
    assert dataset.label_names == ("Platelets", "RBC", "WBC")
    counts = [
        len(example["boxes"])
        for name in dataset.splits
        for batch in dataset.split(name).iterate()
        for example in batch
    ]
    assert sum(counts) == 4886
    named = [message for message in progress.warnings if "left out" in message]
    assert named == [
        "train: something was left out of 1 row: bccd/JPEGImages/BloodImage_00343.jpg: box 4 'RBC' (181, 329, 181, "
        "329) has no area.",
        "validation: something was left out of 1 row: bccd/JPEGImages/BloodImage_00338.jpg: box 13 'RBC' (504, 337, "
        "504, 337) has no area.",
    ]
    mended = [json.loads(line) for line in (dataset.folder / "mended.jsonl").read_text().splitlines()]
    assert {entry["name"] for entry in mended if "no area" in entry["what"]} == {
        "bccd/JPEGImages/BloodImage_00343.jpg",
        "bccd/JPEGImages/BloodImage_00338.jpg",
    }


def test_drawn_scenes_are_read_as_they_are_written(tmp_path, progress):
    from kerasft.samples.scene_folder import write_scenes

    write_scenes(tmp_path / "scenes", 20, validation=16, size_px=64)
    dataset = prepare(tmp_path, {"train": {"format": "coco", "path": "scenes"}}, progress)
    assert {name: len(dataset.split(name)) for name in dataset.splits} == {"train": 20, "validation": 16}
    rows = [json.loads(line) for line in (tmp_path / "scenes" / "scenes.jsonl").read_text().splitlines()]
    gold = {f"scenes/{row['path']}": row["objects"] for row in rows if row["split"] == "train"}
    (batch,) = dataset.split("train").iterate()
    for example in batch:
        assert [
            (dataset.label_names[label], tuple(sides), area) for *sides, label, _, area in example["boxes"]
        ] == [
            (thing["class"], tuple(map(float, thing["box"])), float(thing["area"]))
            for thing in gold[example["name"]]
        ]
    assert set(dataset.label_names) <= set(CLASSES)

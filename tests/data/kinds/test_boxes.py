"""Boxes in pictures: their spellings, what is refused or cut, and what a dataset then holds."""

from __future__ import annotations

import json

import numpy as np
import pytest
from source_makers import draw_picture, write_pictures, write_tfds

from kerasft.data.config import DataConfig
from kerasft.data.kinds.boxes import Box, parse_boxes
from kerasft.data.kinds.fields import Field, InvalidValue
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.errors import DataError

FIELDS = (
    Field("image", "image"),
    Field("boxes", "boxes", "target"),
    Field("classes", "labels", "target", of="boxes"),
)
CAT = Box(1, 2, 5, 8, "cat")


@pytest.mark.parametrize(
    "value",
    [
        [{"left": 1, "top": 2, "right": 5, "bottom": 8, "label": "cat"}],
        [{"x_min": 1, "y_min": 2, "x_max": 5, "y_max": 8, "category": " cat "}],
        [{"xmin": 1.0, "ymin": 2.0, "xmax": 5.0, "ymax": 8.0, "class": "cat"}],
        [{"bbox": [1, 2, 4, 6], "category": "cat"}],
        {"bbox": [[1, 2, 4, 6]], "category": ["cat"]},
        {"bbox": [[1, 2, 4, 6]], "categories": ["cat"]},
    ],
)
def test_the_usual_spellings_mean_the_same_box(value):
    assert parse_boxes(value) == [CAT]


@pytest.mark.parametrize(
    "value",
    [
        [{"bbox": [1, 2, 4, 6], "category": "cat", "iscrowd": 1, "area": 7.5}],
        [{"left": 1, "top": 2, "right": 5, "bottom": 8, "label": "cat", "crowd": True, "area": 7.5}],
        {"bbox": [[1, 2, 4, 6]], "category": ["cat"], "is_crowd": [True], "area": [7.5]},
    ],
)
def test_a_box_may_be_a_crowd_and_have_an_area_of_its_own(value):
    assert parse_boxes(value) == [CAT._replace(crowd=True, area=7.5)]


def test_an_area_of_zero_is_none():
    assert parse_boxes([{"bbox": [1, 2, 4, 6], "category": "cat", "area": 0}]) == [CAT]


def test_a_picture_may_have_no_box_and_a_box_no_class():
    assert parse_boxes([]) == []
    assert parse_boxes([{"bbox": [0, 0, 1, 2]}]) == [Box(0, 0, 1, 2, "")]


@pytest.mark.parametrize(
    ("value", "reason", "detail"),
    [
        (None, "missing boxes", "found null; write [] for no boxes"),
        ("1 2 5 8", "boxes are not a list", "found text"),
        ([[1, 2, 5, 8]], "box is not an object", "box 1: expected an object with left, top, right, bottom"),
        ([{"left": 1}], "missing key", "box 1: it needs left, top, right, bottom, or bbox; there is left"),
        ([{"bbox": [1, 2, 4]}], "missing key", "box 1: it needs"),
        ([{"bbox": [1, 2, 4, 6]}, {"bbox": [1, 2, 4, "wide"]}], "not a number", "box 2: found 'wide'"),
        ([{"bbox": [1, 2, 4, 6], "area": "large"}], "not a number", "box 1: found 'large'"),
        ([{"bbox": [1, 2, 4, 6], "iscrowd": 2}], "crowd is neither true nor false", "box 1: found 2"),
        ([{"bbox": [1, 2, 4, 6], "label": ""}], "missing label", "box 1"),
    ],
)
def test_what_is_no_box_is_refused_by_its_number(value, reason, detail):
    with pytest.raises(InvalidValue) as error:
        parse_boxes(value)
    assert error.value.reason == reason
    assert error.value.detail.startswith(detail)


@pytest.fixture
def prepare_boxes(tmp_path, progress):
    def run(listed, fields=FIELDS):
        names = write_pictures(tmp_path, len(listed))  # 16 × 16 pixels
        rows = [{"image": name, "boxes": boxes} for name, boxes in zip(names, listed, strict=True)]
        (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        config = DataConfig.model_validate(
            {
                "train": {"format": "jsonl", "path": "a.jsonl"},
                "validation_share": 0,
                "test_share": 0,
                "max_rejected": 0.5,
            }
        )
        return prepare_dataset(config, fields, tmp_path / "data", base=tmp_path, seed=0, progress=progress)

    return run


def make_box(left, top, right, bottom, label="cat"):
    return {"left": left, "top": top, "right": right, "bottom": bottom, "label": label}


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_boxes_are_taken_with_the_numbers_of_their_classes(prepare_boxes):
    listed = [
        [make_box(1, 2.25, 5, 8), make_box(0, 0, 16, 16, "dog")],
        [],
        [make_box(3, 3, 4, 4, "ant")],
    ]
    dataset = prepare_boxes(listed)
    assert dataset.label_names == ("ant", "cat", "dog")
    taken = dataset.split("train").take(range(3))
    assert [example["boxes"] for example in taken] == [
        [(1.0, 2.25, 5.0, 8.0, 1, False, 23.0), (0.0, 0.0, 16.0, 16.0, 2, False, 256.0)],
        [],
        [(3.0, 3.0, 4.0, 4.0, 0, False, 1.0)],
    ]
    assert [example["classes"] for example in taken] == [(1, 2), (), (0,)]
    assert dataset.split("train").column("classes").tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert dataset.manifest["splits"]["train"]["labels"] == {"ant": 1, "cat": 1, "dog": 1}


def test_a_box_without_a_class_stands_among_others_with_one(prepare_boxes):
    bare = {side: value for side, value in make_box(2, 2, 4, 4).items() if side != "label"}
    dataset = prepare_boxes([[make_box(1, 2, 5, 8), bare], [make_box(1, 2, 5, 8, "dog")]])
    assert dataset.label_names == ("cat", "dog")
    (example,) = dataset.split("train").take([0])
    assert example["boxes"] == [(1.0, 2.0, 5.0, 8.0, 0, False, 24.0), (2.0, 2.0, 4.0, 4.0, -1, False, 4.0)]
    assert example["classes"] == (0,)


def test_crowds_and_areas_are_kept(prepare_boxes):
    dataset = prepare_boxes([[{**make_box(1, 2, 5, 8), "crowd": True, "area": 7.5}, make_box(1, 1, 3, 3)]])
    (example,) = dataset.split("train").take([0])
    assert example["boxes"] == [(1.0, 2.0, 5.0, 8.0, 0, True, 7.5), (1.0, 1.0, 3.0, 3.0, 0, False, 4.0)]


def test_boxes_beyond_the_edges_are_cut(prepare_boxes, progress):
    dataset = prepare_boxes([[make_box(-2, 3, 20, 8)], [make_box(0, 0, 16, 16)]])
    assert [example["boxes"] for example in dataset.split("train").take(range(2))] == [
        [(0.0, 3.0, 16.0, 8.0, 0, False, 80.0)],
        [(0.0, 0.0, 16.0, 16.0, 0, False, 256.0)],
    ]
    (mended,) = read_lines(dataset.folder / "mended.jsonl")
    assert mended["row"] == 1
    assert mended["name"] == "0.png"
    assert mended["what"] == "box 1 'cat' (-2, 3, 20, 8) reaches beyond 16 × 16 pixels"
    assert dataset.manifest["splits"]["train"]["notes"] == {"boxes beyond the picture's edges": 1}
    assert not [message for message in progress.warnings if "left out" in message]


@pytest.mark.parametrize("fields", [FIELDS, (*FIELDS[1:], FIELDS[0])])
def test_boxes_outside_or_without_area_are_left_out_by_name_and_their_picture_is_kept(
    prepare_boxes, progress, fields
):
    listed = [
        [make_box(1, 1, 2, 2), make_box(17, 3, 20, 8, "dog")],
        [make_box(5, 3, 5, 8), make_box(1, 1, 2, 2, "ant")],
        [make_box(0, 0, 16, 16)],
    ]
    dataset = prepare_boxes(listed, fields)
    assert dataset.label_names == ("ant", "cat")
    assert [example["boxes"] for example in dataset.split("train").take(range(3))] == [
        [(1.0, 1.0, 2.0, 2.0, 1, False, 1.0)],
        [(1.0, 1.0, 2.0, 2.0, 0, False, 1.0)],
        [(0.0, 0.0, 16.0, 16.0, 1, False, 256.0)],
    ]
    what = {entry["name"]: entry["what"] for entry in read_lines(dataset.folder / "mended.jsonl")}
    assert what == {
        "0.png": "box 2 'dog' (17, 3, 20, 8) is outside of 16 × 16 pixels",
        "1.png": "box 1 'cat' (5, 3, 5, 8) has no area",
    }
    assert not read_lines(dataset.folder / "rejected.jsonl")
    assert (
        f"train: something was left out of 2 rows: 0.png: {what['0.png']}; 1.png: {what['1.png']}."
        in progress.warnings
    )
    note = "boxes without area or outside of the picture, left out"
    assert dataset.manifest["splits"]["train"]["notes"] == {note: 2}


def test_boxes_without_a_field_of_classes_have_none(prepare_boxes):
    dataset = prepare_boxes([[make_box(1, 2, 5, 8)]], FIELDS[:2])
    assert dataset.split("train").take([0])[0]["boxes"] == [(1.0, 2.0, 5.0, 8.0, -1, False, 24.0)]
    assert dataset.label_names == ()


def test_a_train_without_any_class_of_a_box_is_an_error(prepare_boxes):
    with pytest.raises(DataError, match="No row of train has a box with a label"):
        prepare_boxes([[], []])


def test_boxes_that_tfds_keeps_as_shares_are_read(tmp_path, progress):
    import tensorflow_datasets as tfds

    names = ["cat", "dog"]
    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "objects": tfds.features.Sequence(
            {
                "bbox": tfds.features.BBoxFeature(),
                "label": tfds.features.ClassLabel(names=names),
                "is_crowd": tfds.features.Scalar(np.bool_),
            }
        ),
    }
    box = tfds.features.BBox(ymin=0.125, xmin=0.25, ymax=0.5, xmax=1.0)
    objects = [
        [{"bbox": box, "label": 1, "is_crowd": True}],
        [{"bbox": box, "label": 0, "is_crowd": False}],
        [],
    ]
    examples = [{"image": draw_picture(i), "objects": held} for i, held in enumerate(objects)]
    folder = write_tfds(tmp_path, "shapes", features, {"train": examples}, "array_record")
    source = {"format": "tfds", "path": str(folder), "split": "train", "columns": {"boxes": "objects"}}
    config = DataConfig.model_validate({"train": source, "validation_share": 0, "test_share": 0})
    dataset = prepare_dataset(config, FIELDS, tmp_path / "data", base=tmp_path, seed=0, progress=progress)
    assert dataset.label_names == ("cat", "dog")
    assert [example["boxes"] for example in dataset.split("train").take(range(3))] == [
        [(4.0, 2.0, 16.0, 8.0, 1, True, 72.0)],
        [(4.0, 2.0, 16.0, 8.0, 0, False, 72.0)],
        [],
    ]

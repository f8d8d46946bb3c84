"""Boxes in pictures: their spellings, what is refused or cut, and what a dataset then holds."""

from __future__ import annotations

import json

import pytest
from source_makers import write_pictures, write_tfds

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
    ],
)
def test_the_usual_spellings_mean_the_same_box(value):
    assert parse_boxes(value) == [CAT]


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
        (
            [{"bbox": [1, 2, 4, 6]}, {"bbox": [1, 2, 0, 6]}],
            "box has no area",
            "box 2: left 1, top 2, right 1",
        ),
        ([{"bbox": [1, 2, 4, "wide"]}], "not a number", "box 1: found 'wide'"),
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
        [(1.0, 2.25, 5.0, 8.0, 1), (0.0, 0.0, 16.0, 16.0, 2)],
        [],
        [(3.0, 3.0, 4.0, 4.0, 0)],
    ]
    assert [example["classes"] for example in taken] == [(1, 2), (), (0,)]
    assert dataset.split("train").column("classes").tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    assert dataset.manifest["splits"]["train"]["labels"] == {"ant": 1, "cat": 1, "dog": 1}


def test_a_box_without_a_class_stands_among_others_with_one(prepare_boxes):
    bare = {side: value for side, value in make_box(2, 2, 4, 4).items() if side != "label"}
    dataset = prepare_boxes([[make_box(1, 2, 5, 8), bare], [make_box(1, 2, 5, 8, "dog")]])
    assert dataset.label_names == ("cat", "dog")
    (example,) = dataset.split("train").take([0])
    assert example["boxes"] == [(1.0, 2.0, 5.0, 8.0, 0), (2.0, 2.0, 4.0, 4.0, -1)]
    assert example["classes"] == (0,)


def test_boxes_beyond_the_edges_are_cut_and_those_outside_refused(prepare_boxes):
    listed = [
        [make_box(-2, 3, 20, 8)],
        [make_box(1, 1, 2, 2), make_box(17, 3, 20, 8)],
        [make_box(0, 0, 16, 16)],
    ]
    dataset = prepare_boxes(listed)
    assert [example["boxes"] for example in dataset.split("train").take(range(2))] == [
        [(0.0, 3.0, 16.0, 8.0, 0)],
        [(0.0, 0.0, 16.0, 16.0, 0)],
    ]
    (mended,) = read_lines(dataset.folder / "mended.jsonl")
    assert (mended["row"], mended["what"]) == (1, "box 1 (-2, 3, 20, 8) reaches beyond 16 × 16 pixels")
    (rejected,) = read_lines(dataset.folder / "rejected.jsonl")
    assert (rejected["row"], rejected["reason"]) == (2, "box outside of the picture")
    assert rejected["detail"] == "box 2 (17, 3, 20, 8) of 16 × 16 pixels"
    assert dataset.manifest["splits"]["train"]["notes"] == {"boxes beyond the picture's edges": 1}


def test_boxes_are_held_against_their_picture_wherever_its_field_stands(prepare_boxes):
    dataset = prepare_boxes(
        [[make_box(-2, 3, 20, 8)], [make_box(17, 3, 20, 8)], [make_box(1, 1, 2, 2)]], (*FIELDS[1:], FIELDS[0])
    )
    assert [example["boxes"] for example in dataset.split("train").take(range(2))] == [
        [(0.0, 3.0, 16.0, 8.0, 0)],
        [(1.0, 1.0, 2.0, 2.0, 0)],
    ]
    (rejected,) = read_lines(dataset.folder / "rejected.jsonl")
    assert rejected["reason"] == "box outside of the picture"


def test_boxes_without_a_field_of_classes_have_none(prepare_boxes):
    dataset = prepare_boxes([[make_box(1, 2, 5, 8)]], FIELDS[:2])
    assert dataset.split("train").take([0])[0]["boxes"] == [(1.0, 2.0, 5.0, 8.0)]
    assert dataset.label_names == ()


def test_a_train_without_any_class_of_a_box_is_an_error(prepare_boxes):
    with pytest.raises(DataError, match="No row of train has a box with a label"):
        prepare_boxes([[], []])


def test_boxes_that_tfds_keeps_as_shares_are_refused(tmp_path, progress):
    import tensorflow_datasets as tfds

    features = {
        "image": tfds.features.Image(shape=(None, None, 3)),
        "objects": tfds.features.Sequence({"bbox": tfds.features.BBoxFeature()}),
    }
    folder = write_tfds(tmp_path, "shapes", features, {"train": []}, "array_record")
    source = {"format": "tfds", "path": str(folder), "split": "train", "columns": {"boxes": "objects"}}
    config = DataConfig.model_validate({"train": source})
    with pytest.raises(DataError, match="boxes as shares of the picture's size"):
        prepare_dataset(config, FIELDS, tmp_path / "data", base=tmp_path, seed=0, progress=progress)

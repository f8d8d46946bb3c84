"""Batches of a detector: boxes lie on their objects in what the net is given, augmented or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tiny_boxes

from kerasft.data.feed import BatchMoment
from kerasft.data.prepared import Split, load_prepared_dataset
from kerasft.runs.folder import RunFolder
from kerasft.stages.prepare import prepare
from kerasft.tasks.object_detection.feed import BoxFeed, make_gold, pack_boxes
from kerasft.tasks.object_detection.targets import IGNORED, OBJECT, PADDING
from kerasft.vision.augmentation.boxes import build_box_augmenter
from kerasft.vision.config import BoxAugmentationConfig

EXAMPLES = [
    {"boxes": [(1.0, 2.0, 5.0, 8.0, 1, False, None), (0.0, 0.0, 4.0, 4.0, 0, True, 7.0)]},
    {"boxes": []},
    {"boxes": [(0.0, 0.0, 2.0, 2.0, -1, False, None)]},
]


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory, load_box_experiment: Callable[..., Any]) -> Split:
    run = RunFolder(tmp_path_factory.mktemp("prepared"))
    prepare(load_box_experiment(), run)
    return load_prepared_dataset(run.dataset).split("train")


def make_batch(feed: BoxFeed, count: int = 12, epoch: int = 0) -> tuple[Any, np.ndarray]:
    batch = feed.collate(np.arange(count), 1, BatchMoment(epoch, 0))
    inputs, labels = feed.unpack({name: tf.constant(array) for name, array in batch.items()})
    return {name: value.numpy() for name, value in inputs.items()}, labels.numpy()


def assert_boxes_lie_on_objects(images: np.ndarray, labels: np.ndarray) -> int:
    """Each object's colour is its class's, in the middle of its box; returns how many objects there are."""
    names, seen = sorted(tiny_boxes.COLOURS), 0
    for image, rows in zip(images, labels, strict=True):
        for left, top, right, bottom, label, _ in rows[rows[:, 5] == OBJECT]:
            pixel = image[int((top + bottom) / 2), int((left + right) / 2)]
            colours = np.array([tiny_boxes.COLOURS[name] for name in names])
            assert np.abs(colours - pixel).sum(1).argmin() == int(label)
            assert pixel.max() - pixel.min() > 60
            seen += 1
    return seen


def test_boxes_are_packed_side_by_side_and_crowds_are_ignored() -> None:
    packed = pack_boxes(EXAMPLES)
    assert packed["kinds"].tolist() == [[OBJECT, IGNORED], [PADDING, PADDING], [IGNORED, PADDING]]
    assert packed["classes"].tolist() == [[1, 0], [-1, -1], [-1, -1]]
    assert packed["boxes"][0].tolist() == [[1, 2, 5, 8], [0, 0, 4, 4]]
    assert pack_boxes([{"boxes": []}])["boxes"].shape == (1, 0, 4)


def test_gold_holds_crowds_and_areas_and_no_box_without_a_class() -> None:
    gold = make_gold(EXAMPLES[0])
    assert gold.crowd.tolist() == [False, True]
    assert gold.areas.tolist() == [24.0, 7.0]
    assert gold.labels.tolist() == [1, 0]
    assert len(make_gold(EXAMPLES[2]).boxes) == len(make_gold(EXAMPLES[1]).boxes) == 0


def test_boxes_of_measured_pictures_lie_on_their_objects_and_it_is_known_where_the_pictures_lie(
    split: Split,
) -> None:
    feed = BoxFeed(split, tiny_boxes.SIZE_PX, is_measured=True)
    inputs, labels = make_batch(feed)
    assert set(inputs) == {"image", "scale", "offset", "size"}
    assert inputs["image"].shape == (12, *tiny_boxes.SIZE_PX, 3)
    assert assert_boxes_lie_on_objects(inputs["image"], labels) >= 12
    for row in range(12):
        gold = feed.get_reference(row)
        moved = gold.boxes * inputs["scale"][row] + np.tile(inputs["offset"][row], 2)
        np.testing.assert_allclose(labels[row][: len(moved), :4], moved, rtol=1e-5)


def test_training_gives_the_net_its_pictures_alone(split: Split) -> None:
    inputs, _ = make_batch(BoxFeed(split, tiny_boxes.SIZE_PX))
    assert set(inputs) == {"image"}


def test_augmented_boxes_lie_on_their_objects_and_differ_from_epoch_to_epoch(split: Split) -> None:
    config = BoxAugmentationConfig(
        policy="none", flip=True, flip_vertical=True, rotate_90=True, scale=(0.7, 1.5)
    )
    augmenter = build_box_augmenter(config, tiny_boxes.SIZE_PX)
    feed = BoxFeed(split, tiny_boxes.SIZE_PX, augmenter=augmenter, seed=3)
    assert feed.is_varied
    (first, labels), (again, _), (other, _) = (make_batch(feed, epoch=epoch) for epoch in (0, 0, 1))
    assert assert_boxes_lie_on_objects(first["image"], labels) >= 8
    np.testing.assert_array_equal(first["image"], again["image"])
    assert not np.array_equal(first["image"], other["image"])


def test_what_is_nearly_cut_off_is_ignored_and_what_is_gone_is_nothing(split: Split) -> None:
    config = BoxAugmentationConfig(policy="none", scale=(2.0, 2.0), min_visibility=0.5)
    augmenter = build_box_augmenter(config, tiny_boxes.SIZE_PX)
    _, labels = make_batch(BoxFeed(split, tiny_boxes.SIZE_PX, augmenter=augmenter), count=24)
    kinds = labels[..., 5]
    assert set(np.unique(kinds).astype(int).tolist()) == {PADDING, OBJECT, IGNORED}
    sides = labels[..., 2:4] - labels[..., :2]
    assert (sides[kinds != PADDING] > 0).all()

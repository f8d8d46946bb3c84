"""The sections of object detection: sizes, strides, and what is refused at once."""

from __future__ import annotations

import pydantic
import pytest

from kerasft.tasks.object_detection.config import (
    DetectorConfig,
    DetectorTrainConfig,
    ObjectDetectionConfig,
)


def make_model(**keys) -> DetectorConfig:
    return DetectorConfig(**{"preset": "mobilenet", **keys})


@pytest.mark.parametrize(
    ("size", "expected", "least"),
    [(416, (416, 416), 416), ([320, 416], (320, 416), 320), ([96, 64], (96, 64), 64)],
)
def test_images_are_squares_or_have_a_height_and_a_width(size, expected, least: int) -> None:
    model = make_model(image_size_px=size)
    assert model.size_px == expected
    assert model.least_side_px == least
    assert DetectorConfig(**model.model_dump(mode="json")) == model


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (400, "a multiple of 32 from 64 to 4096, not 400; 384 is near"),
        ([320, 410], "not 410; 416 is near"),
        (32, "not 32; 64 is near"),
        (8192, "not 8192; 4096 is near"),
    ],
)
def test_sides_on_which_the_maps_do_not_fit_are_refused(size, message: str) -> None:
    with pytest.raises(pydantic.ValidationError, match=message):
        make_model(image_size_px=size)


def test_sides_that_the_net_cannot_take_are_refused() -> None:
    with pytest.raises(pydantic.ValidationError, match="xception takes 71 pixels or more"):
        make_model(preset="xception", image_size_px=[64, 128])


def test_feature_maps_are_not_kept() -> None:
    with pytest.raises(pydantic.ValidationError, match="too large to be kept"):
        DetectorTrainConfig(head={"cache": True})
    assert DetectorTrainConfig(head={"epochs": 2}).head.cache is False


def test_one_class_is_enough_and_two_of_one_name_are_too_many() -> None:
    config = ObjectDetectionConfig(type="object_detection", labels=["cell"])
    assert config.fields[2].classes == ("cell",)
    assert [field.kind for field in config.inputs] == ["image"]
    with pytest.raises(pydantic.ValidationError, match="same label"):
        ObjectDetectionConfig(type="object_detection", labels=["cell", "cell "])


def test_the_epoch_is_chosen_by_a_figure_that_there_is() -> None:
    kinds = ObjectDetectionConfig(type="object_detection").figure_kinds
    assert DetectorTrainConfig().monitor in kinds.names
    assert kinds.higher_is_better("ap")

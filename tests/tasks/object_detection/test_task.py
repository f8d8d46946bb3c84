"""A trained detector: it finds what it learned, in the pictures' own pixels, and knows its threshold."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiny_boxes
from PIL import Image

from kerasft.data.prepared import load_prepared_dataset
from kerasft.data.streams import collect_outputs
from kerasft.models.image.detectors import DEFAULT_THRESHOLD, THRESHOLD
from kerasft.progress import Silent
from kerasft.training.trained import Trained, load_trained, open_feed


@pytest.fixture(scope="module")
def trained(tiny_box_run: Any) -> Trained:
    return load_trained(tiny_box_run)


def encode(image: Image.Image) -> dict[str, bytes]:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return {"image": buffer.getvalue()}


def answer(trained: Trained, *images: Image.Image) -> list[list[dict[str, Any]]]:
    examples = [trained.task.read_served(encode(image)) for image in images]
    return [said["boxes"] for said in trained.task.decode(trained.answer(examples))]


def test_it_finds_what_it_learned(tiny_box_run: Any) -> None:
    figures = tiny_box_run.read_metrics()["evaluate"]["test"]
    assert figures["ap50"]["value"] > 0.1
    assert figures["ap"]["low"] < figures["ap"]["value"] < figures["ap"]["high"]
    assert figures["examples"]["value"] == 18


def test_boxes_are_in_the_pixels_of_the_picture_whatever_its_size(trained: Trained) -> None:
    image, _ = tiny_boxes.draw_picture(1003)
    large = image.resize((image.width * 3, image.height * 3), Image.Resampling.BICUBIC)
    small, tripled = answer(trained, image, large)
    assert small
    assert [box["label"] for box in tripled] == [box["label"] for box in small]
    for one, other in zip(small, tripled, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=0.1)
        for side in ("left", "top", "right", "bottom"):
            assert 3 * one[side] == pytest.approx(other[side], abs=12)


@pytest.mark.numerical
def test_a_batch_of_odd_sizes_answers_as_one_by_one(trained: Trained) -> None:
    images = [
        tiny_boxes.draw_picture(seed)[0].resize(size)
        for seed, size in ((2001, (333, 97)), (2002, (64, 64)), (2004, (97, 511)))
    ]
    together = answer(trained, *images)
    for image, said in zip(images, together, strict=True):
        (alone,) = answer(trained, image)
        assert [box["label"] for box in alone] == [box["label"] for box in said]
        for one, other in zip(alone, said, strict=True):
            for key in ("left", "top", "right", "bottom"):
                assert one[key] == pytest.approx(other[key], abs=0.05)
            assert one["score"] == pytest.approx(other["score"], abs=1e-4)
        for box in said:
            assert 0 <= box["left"] <= box["right"] <= image.width
            assert 0 <= box["top"] <= box["bottom"] <= image.height


def test_the_threshold_is_that_of_the_best_f1_on_validation(trained: Trained, tmp_path) -> None:
    dataset = load_prepared_dataset(trained.run.dataset)
    feed = open_feed(trained.task, dataset, "validation", tmp_path, Silent())
    outputs = collect_outputs(feed, trained.step)
    tally = trained.task.open_tally()
    references = [feed.get_reference(number) for number in range(len(outputs))]
    tally.add(range(len(outputs)), outputs, references)
    stored = float(trained.model.get_layer(THRESHOLD).bias.numpy()[0])
    assert stored == pytest.approx(tally.choose_threshold(), abs=1e-3)
    assert stored != pytest.approx(DEFAULT_THRESHOLD)
    assert all(float(output["threshold"]) == pytest.approx(stored) for output in outputs)
    figures = tally.compute_figures()
    assert figures["f1"]["value"] == pytest.approx(figures["best_f1"]["value"], abs=1e-6)


def test_another_threshold_can_be_asked_for_afterwards(
    tiny_box_run: Any, load_box_experiment: Callable[..., Any]
) -> None:
    image, _ = tiny_boxes.draw_picture(1003)
    found = {}
    for asked in ("null", "0.0", "1.0"):
        config = load_box_experiment(f"task.threshold={asked}", "task.max_detections=7")
        found[asked] = answer(load_trained(tiny_box_run, config), image)[0]
    assert len(found["1.0"]) == 0
    assert len(found["0.0"]) == 7
    assert 0 < len(found["null"]) < 7
    assert found["0.0"][: len(found["null"])] == found["null"]


def test_a_record_tells_what_is_true_and_what_was_found(trained: Trained) -> None:
    split = load_prepared_dataset(trained.run.dataset).split("test")
    (example,) = split.take([1])
    (prediction,) = trained.task.decode(trained.answer([example]))
    record = trained.task.record(example, prediction)
    assert set(record) == {"boxes", "predicted"}
    assert [set(box) for box in record["boxes"]] == [
        {"label", "left", "top", "right", "bottom", "crowd"}
    ] * len(example["boxes"])
    assert record["predicted"] == prediction["boxes"]
    shown = trained.task.describe([example], trained.answer([example]))
    assert "| test/01.png |" in shown


def test_the_right_output_is_right_but_for_crowds(trained: Trained) -> None:
    from kerasft.metrics.detection.boxes import make_gold_boxes

    gold = make_gold_boxes([(0, 0, 9, 9), (0, 0, 50, 50)], [1, 0], [False, True])
    tally = trained.task.open_tally()
    tally.add([0], [trained.task.make_right_output(gold)], [gold])
    assert tally.compute_figures()["ap"]["value"] == pytest.approx(1.0)
    assert len(trained.task.make_right_output(gold)["boxes"]) == 1
    np.testing.assert_array_equal(trained.task.make_right_output(gold)["labels"], [1])

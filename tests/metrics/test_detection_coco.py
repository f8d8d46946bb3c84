"""COCO's figures of boxes: pycocotools as oracle, and worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from detection_makers import COCO_FIGURES, ask_pycocotools, draw_pictures

from kerasft.errors import DataError
from kerasft.metrics.detection.boxes import make_detections, make_gold_boxes
from kerasft.metrics.detection.measure import DetectionMeasure, measure_detections
from kerasft.metrics.detection.overlaps import compute_overlaps
from kerasft.metrics.detection.table import match_pictures

KINDS_OF_SETS = {
    "ties, crowds, whole pixels": {},
    "all scores different": {"ties": False},
    "any sides": {"whole": False},
    "many detections": {"most_found": 500, "pictures": 3, "classes": 2},
    "dense pictures": {"most_gold": 60, "most_found": 90, "pictures": 3, "classes": 1, "crowds": 0.05},
    "crowds mostly": {"crowds": 0.7, "classes": 1},
    "no crowds, many classes": {"crowds": 0.0, "classes": 9},
    "few boxes": {"most_gold": 1, "most_found": 2, "pictures": 4},
}


@pytest.mark.parametrize("kind", KINDS_OF_SETS)
def test_figures_of_25_random_sets_each_are_pycocotools(kind) -> None:
    settings = KINDS_OF_SETS[kind]
    classes, asked = settings.get("classes", 3), 0
    for seed in range(25):
        gold, found = draw_pictures(seed, **settings)
        expected = ask_pycocotools(gold, found, classes)
        if expected is None:
            continue
        asked += 1
        values = DetectionMeasure(
            match_pictures(gold, found), [str(label) for label in range(classes)]
        ).values
        measured = {name: float(values[name]) for name in expected}
        assert {
            name: -1.0 if np.isnan(value) else value for name, value in measured.items()
        } == pytest.approx(expected, abs=1e-9), seed
    assert asked >= 22


def measure(gold, found, names=("a",), **options):
    figures = measure_detections(match_pictures(gold, found), names, **options)
    return {name: figure["value"] for name, figure in figures.items()}


def test_three_objects_in_two_pictures_worked_by_hand() -> None:
    square = [0, 0, 100, 100]
    gold = [make_gold_boxes([square, [200, 0, 300, 100]], [0, 0]), make_gold_boxes([square], [0])]
    found = [
        make_detections([square, [400, 0, 500, 100]], [0.9, 0.8], [0, 0]),
        make_detections([[0, 0, 62, 100]], [0.7], [0]),  # an overlap of 0.62
    ]
    figures = measure(gold, found, threshold=0.75)
    # right, wrong, right: precision 1 up to a recall of 1/3 (34 points), 2/3 up to one of 2/3 (33 points)
    loose, strict = (34 + 33 * 2 / 3) / 101, 34 / 101
    assert figures["ap50"] == pytest.approx(loose)
    assert figures["ap75"] == pytest.approx(strict)
    assert figures["ap"] == pytest.approx((3 * loose + 7 * strict) / 10)
    assert figures["ar_100"] == pytest.approx((3 * 2 / 3 + 7 * 1 / 3) / 10)
    assert figures["ar_1"] == figures["ar_100"]
    assert "ap_small" not in figures
    assert figures["ap_large"] == figures["ap"] == figures["ap/a"]
    assert (figures["precision"], figures["recall"]) == (0.5, pytest.approx(1 / 3))
    assert figures["f1"] == pytest.approx(2 / 5)
    assert figures["best_f1"] == pytest.approx(2 * 2 / (3 + 3))
    assert (figures["examples"], figures["boxes"], figures["support/a"]) == (2, 3, 3)


def test_a_crowd_is_neither_an_object_nor_a_mistake() -> None:
    gold = [make_gold_boxes([[0, 0, 50, 50], [100, 0, 300, 200]], [0, 0], [False, True])]
    inside = [[100, 0, 140, 40], [150, 50, 190, 90], [250, 150, 320, 200]]  # the last one's overlap is 50/70
    found = [make_detections([*inside, [0, 0, 50, 50]], [0.9, 0.8, 0.7, 0.6], [0] * 4)]
    figures = measure(gold, found, threshold=0.5)
    assert figures["ap50"] == figures["precision"] == figures["recall"] == 1.0
    assert figures["ap75"] == pytest.approx(0.5)  # there the third finds nothing
    assert figures["boxes"] == 1
    elsewhere = measure([make_gold_boxes([[0, 0, 50, 50]], [0])], found)
    assert elsewhere["ap50"] == pytest.approx(0.25)


def test_the_hundred_surest_of_a_class_count_in_a_picture() -> None:
    gold = [make_gold_boxes([[0, 0, 50, 50]], [0])]
    others = [[100 + place, 100, 150 + place, 150] for place in range(100)]
    scores = np.linspace(0.9, 0.5, 100)
    for last, expected in ((99, 1 / 100), (100, 0.0)):
        found = make_detections([*others[:last], [0, 0, 50, 50]], [*scores[:last], 0.1], [0] * (last + 1))
        assert measure([*gold], [found])["ap"] == pytest.approx(expected)


def test_overlaps_are_areas_shared_by_areas_covered() -> None:
    found = np.array([[0, 0, 10, 10], [20, 20, 20, 30]])
    gold = np.array([[5, 0, 15, 10], [10, 0, 20, 10], [0, 0, 10, 10]])
    assert compute_overlaps(found, gold) == pytest.approx(np.array([[1 / 3, 0, 1], [0, 0, 0]]))
    assert compute_overlaps(found, gold, np.array([True, False, False]))[0, 0] == 0.5
    assert compute_overlaps(found[:0], gold).shape == (0, 3)


def test_without_gold_boxes_or_detections_figures_are_left_out_or_zero() -> None:
    nothing, something = make_gold_boxes([], []), make_gold_boxes([[0, 0, 9, 9]], [1])
    silent, wrong = make_detections([], [], []), make_detections([[0, 0, 9, 9]], [0.5], [0])
    names = ("a", "b")
    empty = measure([nothing], [silent], names, threshold=0.5, bootstrap_samples=10)
    assert not {*COCO_FIGURES, "precision", "recall", "f1", "best_f1"} & set(empty)
    assert empty["boxes"] == 0
    missed = measure([something, nothing], [silent, wrong], names, threshold=0.5, bootstrap_samples=10)
    assert missed["ap"] == missed["recall"] == missed["precision"] == missed["best_f1"] == 0.0
    assert "ap/a" not in missed
    assert missed["ap/b"] == 0.0


def test_what_cannot_be_measured_is_refused() -> None:
    box, said = make_gold_boxes([[0, 0, 9, 9]], [1]), make_detections([], [], [])
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 1\), got 1 to 1"):
        measure([box], [said])
    with pytest.raises(ValueError, match="different label names"):
        measure([box], [said], ("a", "a"))
    with pytest.raises(ValueError, match="same pictures"):
        match_pictures([box], [])
    with pytest.raises(ValueError, match="as many labels, crowds and areas"):
        make_gold_boxes([[0, 0, 1, 1]], [0, 1])
    with pytest.raises(ValueError, match="no number"):
        make_detections([[0, 0, 1, 1]], [np.nan], [0])
    table = match_pictures([box], [said])
    none = table._replace(numbers=table.numbers[:0])
    with pytest.raises(DataError, match="no pictures"):
        DetectionMeasure(none, ("a", "b"))


def test_detections_come_in_the_order_of_their_scores_and_areas_default_to_the_boxes_own() -> None:
    found = make_detections([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]], [0.2, 0.7, 0.2], [4, 5, 6])
    assert found.labels.tolist() == [5, 4, 6]
    assert found.boxes[:, 2].tolist() == [2, 1, 3]
    gold = make_gold_boxes([[0, 0, 2, 3], [0, 0, 2, 3]], [0, 0], None, [None, 5.0])
    assert gold.areas.tolist() == [6, 5]
    assert [part.dtype for part in gold] == [np.float32, np.int32, bool, np.float32]
    assert [part.shape for part in make_gold_boxes([], [])] == [(0, 4), (0,), (0,), (0,)]

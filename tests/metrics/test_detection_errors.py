"""Kinds of errors of boxes: one of each by hand, what each costs, and thresholds."""

from __future__ import annotations

import numpy as np
import pytest
from detection_makers import draw_pictures

from kerasft.metrics.detection.boxes import make_detections, make_gold_boxes
from kerasft.metrics.detection.error_costs import compute_error_costs, count_errors
from kerasft.metrics.detection.errors import ERROR_KINDS, WRONG_KINDS
from kerasft.metrics.detection.figure_kinds import DETECTION
from kerasft.metrics.detection.measure import DetectionMeasure, count_pictures, measure_detections
from kerasft.metrics.detection.table import match_pictures

NAMES = ("a", "b", "c")
# one gold box each of class a, 100 × 100 pixels, far from each other
PLACES = [[left, 0, left + 100, 100] for left in range(0, 3000, 300)]


def shift(box: list[int], by: int) -> list[int]:
    return [box[0] + by, box[1], box[2] + by, box[3]]


def find(detections, gold=None):
    """(box, label) each, the surest first."""
    scores = np.linspace(0.9, 0.5, len(detections))
    boxes, labels = zip(*detections, strict=True)
    gold = make_gold_boxes(PLACES, [0] * len(PLACES)) if gold is None else gold
    return match_pictures([gold], [make_detections(boxes, scores, labels)])


def test_one_error_of_each_kind() -> None:
    table = find(
        [
            (PLACES[0], 0),
            (PLACES[1], 1),  # class
            (shift(PLACES[2], 50), 0),  # place: an overlap of 1/3
            (shift(PLACES[3], 50), 1),  # both
            (shift(PLACES[0], 5), 0),  # duplicate
            ([0, 500, 100, 600], 0),  # background
            (shift(PLACES[4], 90), 0),  # background: an overlap of 0.053
        ]
    )
    assert [WRONG_KINDS[kind - 1] if kind else "right" for kind in table.kinds] == [
        *("right", "class", "place", "both", "duplicate", "background", "background")
    ]
    # of ten objects one is found, and two others have an error on them that would find them
    assert count_errors(table, 0.0) == dict(zip(ERROR_KINDS, (1, 1, 1, 1, 2, 7), strict=True))
    assert count_errors(table, 0.85) == dict(zip(ERROR_KINDS, (0, 0, 0, 0, 0, 9), strict=True))
    assert count_errors(table, 0.8) == dict(zip(ERROR_KINDS, (1, 0, 0, 0, 0, 8), strict=True))


def test_what_each_kind_costs_worked_by_hand() -> None:
    gold = make_gold_boxes([*PLACES[:3], PLACES[3]], [0, 0, 0, 1])
    table = find(
        [
            ([0, 500, 100, 600], 0),  # background
            (PLACES[0], 0),
            (PLACES[3], 0),  # class: b's only object
            (shift(PLACES[3], 2), 0),  # class, again
            (shift(PLACES[1], 50), 0),  # place
        ],
        gold,
    )
    costs = compute_error_costs(table, 3)
    points = {recall: int(np.floor(recall * 100 + 1e-9)) + 1 for recall in (1 / 3, 2 / 3, 1 / 2)}
    now = points[1 / 3] * 0.5 / 101 / 2  # a's AP, and b's of 0
    assert costs["background"] == pytest.approx(points[1 / 3] * 1.0 / 101 / 2 - now)
    # the surer class error becomes b's, the other one is left out
    assert costs["class"] == pytest.approx((points[1 / 3] * 0.5 / 101 + 1) / 2 - now)
    # right at ranks 2 and 5: the precisions are 1/2 and 2/5
    better = (points[1 / 3] * 0.5 + (points[2 / 3] - points[1 / 3]) * 0.4) / 101
    assert costs["place"] == pytest.approx(better / 2 - now)
    assert costs["both"] == costs["duplicate"] == 0.0
    # the third of a's objects is not counted any more
    assert costs["missed"] == pytest.approx(points[1 / 2] * 0.5 / 101 / 2 - now)


def test_an_object_is_mended_once_and_not_where_it_is_found() -> None:
    table = find([(PLACES[0], 0), (PLACES[0], 1), (PLACES[1], 2), (PLACES[1], 1), (shift(PLACES[1], 50), 0)])
    assert table.mended.tolist() == [-1, -1, 0, -1, 0]


def test_errors_are_all_that_is_wrong_and_those_above_a_threshold_need_no_others() -> None:
    for seed in range(20):
        gold, found = draw_pictures(seed, 8, ties=False)
        table = match_pictures(gold, found)
        for threshold in (0.0, 0.4, 0.8):
            cut = [
                make_detections(
                    *(part[one.scores >= threshold] for part in (one.boxes, one.scores, one.labels))
                )
                for one in found
            ]
            errors = count_errors(table, threshold)
            assert errors == count_errors(match_pictures(gold, cut), 0.0)
            right, objects, counting = count_pictures(table, 3, threshold).sum(0).reshape(3, -1).sum(1)
            assert sum(errors[kind] for kind in WRONG_KINDS) == counting - right
            assert errors["missed"] <= objects - right


def test_leaving_out_what_is_both_duplicate_or_background_gains_what_it_costs() -> None:
    asked = set()
    for seed in range(12):
        gold, found = draw_pictures(seed, 8, ties=False, most_found=15)
        tables = [match_pictures([true], [said]) for true, said in zip(gold, found, strict=True)]
        whole = match_pictures(gold, found)
        now, costs = DetectionMeasure(whole, NAMES).values["ap50"], compute_error_costs(whole, 3)
        for kind in ("both", "duplicate", "background"):
            number = WRONG_KINDS.index(kind) + 1
            rest = [
                make_detections(one.boxes[keep], one.scores[keep], one.labels[keep])
                for one, keep in (
                    (one, table.kinds != number) for one, table in zip(found, tables, strict=True)
                )
            ]
            better = DetectionMeasure(match_pictures(gold, rest), NAMES).values["ap50"]
            assert costs[kind] == pytest.approx(float(better - now), abs=1e-9)
            asked |= {kind} if costs[kind] > 0.001 else set()
        assert all(cost >= -1e-12 for cost in costs.values())
    assert asked == {"both", "duplicate", "background"}


def test_pictures_of_crowds_alone_have_no_costs_and_every_figure_has_a_kind() -> None:
    gold, found = draw_pictures(1, 12)
    figures = measure_detections(match_pictures(gold, found), NAMES, threshold=0.5)
    known = {kind.name for kind in DETECTION}
    assert {name for name in figures if "/" not in name} == known
    assert {DETECTION.find(name).form for name in figures if "/" in name} == {"share", "count"}
    assert {"ap", "ap50", "ap75", "ar_100", "best_f1"} <= set(DETECTION.names)
    crowd = make_gold_boxes([[0, 0, 9, 9]], [0], [True])
    alone = measure_detections(match_pictures([crowd], [make_detections([], [], [])]), NAMES)
    assert not any(name.startswith("cost_") for name in alone)

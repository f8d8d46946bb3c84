"""Curves by threshold, the threshold with the best F1, and the worst pictures."""

from __future__ import annotations

import numpy as np
import pytest
from detection_makers import draw_pictures

from kerasft.metrics.detection.boxes import make_detections, make_gold_boxes
from kerasft.metrics.detection.curves import choose_threshold, compute_curve, find_worst_pictures
from kerasft.metrics.detection.measure import measure_detections
from kerasft.metrics.detection.table import match_pictures

SQUARE, OTHER, NOWHERE = [0, 0, 50, 50], [100, 0, 150, 50], [0, 200, 50, 250]
NAMES = ("a", "b", "c")


def test_the_curve_of_four_detections_by_hand() -> None:
    gold = [make_gold_boxes([SQUARE, OTHER], [0, 0])]
    table = match_pictures(
        gold, [make_detections([SQUARE, NOWHERE, OTHER, NOWHERE], [0.75, 0.5, 0.5, 0.25], [0] * 4)]
    )
    curve = compute_curve(table)
    assert curve.thresholds.tolist() == [0.75, 0.5, 0.25]
    assert curve.precision == pytest.approx([1, 2 / 3, 1 / 2])
    assert curve.recall.tolist() == [0.5, 1, 1]
    assert curve.f1 == pytest.approx([2 / 3, 4 / 5, 2 / 3])
    assert choose_threshold(table) == 0.375
    assert compute_curve(table, 1).thresholds.size == 0


def test_no_threshold_is_chosen_where_nothing_is_right() -> None:
    gold = [make_gold_boxes([SQUARE], [0])]
    assert choose_threshold(match_pictures(gold, [make_detections([], [], [])])) is None
    assert choose_threshold(match_pictures(gold, [make_detections([NOWHERE], [0.9], [0])])) is None
    assert choose_threshold(match_pictures(gold, [make_detections([SQUARE], [0.8], [0])])) == pytest.approx(
        0.4
    )


@pytest.mark.parametrize("ties", [True, False])
def test_the_chosen_threshold_has_the_best_f1_of_all(ties) -> None:
    for seed in range(4):
        table = match_pictures(*draw_pictures(seed, ties=ties))
        threshold = choose_threshold(table)
        chosen = measure_detections(table, NAMES, threshold=threshold)
        assert chosen["f1"]["value"] == pytest.approx(chosen["best_f1"]["value"])
        others = [measure_detections(table, NAMES, threshold=other) for other in np.linspace(0.05, 0.95, 19)]
        assert max(figures["f1"]["value"] for figures in others) <= chosen["f1"]["value"] + 1e-12


def test_curves_of_classes_have_their_precision_and_recall_at_any_threshold() -> None:
    table = match_pictures(*draw_pictures(3, 40))
    for threshold in (0.35, 0.65):
        figures = measure_detections(table, NAMES, threshold=threshold)
        for label, name in enumerate(NAMES):
            curve = compute_curve(table, label)
            place = np.flatnonzero(curve.thresholds >= threshold)[-1]
            for kind in ("precision", "recall", "f1"):
                assert getattr(curve, kind)[place] == pytest.approx(figures[f"{kind}/{name}"]["value"])


def test_pictures_with_most_errors_come_first_and_right_ones_not_at_all() -> None:
    two, one = make_gold_boxes([SQUARE, OTHER], [0, 0]), make_gold_boxes([SQUARE], [0])
    crowd = make_gold_boxes([SQUARE], [0], [True])
    found = {
        3: (two, make_detections([SQUARE, OTHER, NOWHERE], [0.9, 0.9, 0.1], [0, 0, 0])),  # right
        4: (two, make_detections([SQUARE], [0.9], [0])),  # one missed, one found
        5: (one, make_detections([], [], [])),  # one missed, none found
        6: (one, make_detections([NOWHERE, SQUARE], [0.9, 0.8], [0, 1])),  # two wrong, one missed
        7: (crowd, make_detections([SQUARE, SQUARE], [0.9, 0.9], [0, 0])),  # right
    }
    table = match_pictures(*zip(*found.values(), strict=True), list(found))
    worst = find_worst_pictures(table, 0.5)
    assert [tuple(picture) for picture in worst] == [(6, 2, 1), (5, 0, 1), (4, 0, 1)]

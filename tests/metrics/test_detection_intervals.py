"""Intervals of boxes' figures over pictures: resamples are what measuring the drawn pictures gives; comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from detection_makers import draw_pictures
from hypothesis import given, settings
from hypothesis import strategies as st

import kerasft.metrics.detection.measure as module
from kerasft.metrics.detection.boxes import make_detections, make_gold_boxes
from kerasft.metrics.detection.measure import DetectionMeasure, measure_detections
from kerasft.metrics.detection.table import join_tables, match_pictures
from kerasft.metrics.paired import compare_measures

NAMES = ("a", "b", "c")


@pytest.mark.parametrize("crowds", [0.0, 0.3])
def test_a_resample_has_the_figures_of_its_pictures(crowds) -> None:
    gold, found = draw_pictures(5, 20, most_gold=4, crowds=crowds, ties=False)
    measure = DetectionMeasure(match_pictures(gold, found), NAMES, 40, threshold=0.4)
    counts = np.random.default_rng(0).multinomial(20, np.full(20, 1 / 20), size=40).astype(np.float64)
    resampled = measure.resample(counts)
    assert set(resampled) == set(measure.values)
    for row, count in enumerate(counts.astype(int)):
        drawn = np.repeat(np.arange(20), count)
        table = match_pictures([gold[place] for place in drawn], [found[place] for place in drawn])
        expected = DetectionMeasure(table, NAMES, threshold=0.4).values
        for name, value in expected.items():
            assert resampled[name][row] == pytest.approx(float(value), abs=1e-9, nan_ok=True), name


def test_all_pictures_once_are_the_values(monkeypatch) -> None:
    gold, found = draw_pictures(6, 25)
    ones = np.ones((2, 25))
    for limit in (1e12, 0):
        monkeypatch.setattr(module, "_EXACT_WORK", limit)
        measure = DetectionMeasure(match_pictures(gold, found), NAMES, 10, threshold=0.5)
        for name, values in measure.resample(ones).items():
            assert values == pytest.approx([float(measure.values[name])] * 2, abs=1e-12, nan_ok=True), name


def test_first_order_intervals_are_nearly_the_exact_ones(monkeypatch) -> None:
    gold, found = draw_pictures(7, 150, most_gold=12, most_found=40, ties=False, whole=False)
    drawn = {}
    for name, limit in (("exact", 1e12), ("first order", 0)):
        monkeypatch.setattr(module, "_EXACT_WORK", limit)
        drawn[name] = DetectionMeasure(match_pictures(gold, found), NAMES, 200).draw(200, 1)
    for name in ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap/a", "ap50/b"):
        exact, near = drawn["exact"][name], drawn["first order"][name]
        assert np.corrcoef(exact, near)[0, 1] > 0.95, name
        width = np.ptp(np.percentile(exact, (2.5, 97.5)))
        assert np.ptp(np.percentile(near, (2.5, 97.5))) == pytest.approx(width, rel=0.2), name
        assert near.mean() == pytest.approx(exact.mean(), abs=0.3 * width), name


def test_intervals_hold_the_figures_and_a_perfect_recall_has_an_exact_one() -> None:
    gold, found = draw_pictures(8, 30, crowds=0.0)
    figures = measure_detections(match_pictures(gold, found), NAMES, threshold=0.2, bootstrap_samples=200)
    for name in ("ap", "ap50", "ar_10", "ap_medium", "f1", "precision/a", "ap/c"):
        assert 0.0 <= figures[name]["low"] < figures[name]["value"] < figures[name]["high"] <= 1.0, name
    box = [[0, 0, 40, 40]]
    perfect = measure_detections(
        match_pictures([make_gold_boxes(box, [0])] * 10, [make_detections(box, [0.9], [0])] * 10),
        ("a",),
        threshold=0.5,
        bootstrap_samples=50,
    )
    assert perfect["ap"] == {"value": 1.0}
    assert perfect["recall"] == {"value": 1.0, "low": pytest.approx(0.025**0.1), "high": 1.0}


def test_the_better_of_two_detectors_is_told_from_chance() -> None:
    gold, found = draw_pictures(9, 60, crowds=0.0)
    random = np.random.default_rng(0)
    worse = []
    for one in found:
        kept = random.random(len(one.scores)) < 0.5
        worse.append(make_detections(one.boxes[kept], one.scores[kept], one.labels[kept]))
    measures = [DetectionMeasure(match_pictures(gold, side), NAMES, 300) for side in (found, worse)]
    compared = compare_measures(*measures, samples=300)
    assert compared["ar_100"].difference < 0
    assert compared["ar_100"].high < 0
    assert compared["ar_100"].p_value < 0.02
    same = compare_measures(measures[0], measures[0], samples=50)
    assert all(one.difference == 0 and one.p_value == 1 for one in same.values())


def test_average_precisions_reach_lower_than_percentiles_and_recalls_do_not() -> None:
    table = match_pictures(*draw_pictures(8, 30, crowds=0.0))
    figures = measure_detections(table, NAMES, bootstrap_samples=200, seed=4)
    drawn = DetectionMeasure(table, NAMES, 200).draw(200, 4)
    for name in ("ap", "ap50", "ap_medium", "ap/a", "ap50/c", "ar_100", "ar_small"):
        low, high = np.nanpercentile(drawn[name], (2.5, 97.5))
        bias = 0.0 if name.startswith("ar") else max(np.nanmean(drawn[name]) - figures[name]["value"], 0.0)
        assert figures[name]["high"] == pytest.approx(high), name
        assert figures[name]["low"] == pytest.approx(low - 2 * bias), name
    assert np.mean(drawn["ap"]) > figures["ap"]["value"]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.data())
def test_figures_depend_on_no_order_of_pictures_and_merged_parts_are_the_whole(seed, data) -> None:
    gold, found = draw_pictures(seed, 10)
    whole = match_pictures(gold, found)
    order = data.draw(st.permutations(range(10)))
    cut = data.draw(st.integers(1, 9))
    parts = [
        match_pictures([gold[place] for place in part], [found[place] for place in part], part)
        for part in (order[:cut], order[cut:])
    ]
    joined = join_tables(parts)
    for name, column in whole._asdict().items():
        assert np.array_equal(column, getattr(joined, name)), name
        assert column.dtype == getattr(joined, name).dtype, name


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 20))
def test_figures_lie_from_0_to_1_and_depend_on_the_order_of_scores_alone(seed, power) -> None:
    gold, found = draw_pictures(seed, 6, ties=False)
    bent = [one._replace(scores=one.scores.astype(np.float64) ** power) for one in found]
    one, other = (DetectionMeasure(match_pictures(gold, side), NAMES).values for side in (found, bent))
    for name, value in one.items():
        assert np.isnan(value) or 0.0 <= value <= 1.0 + 1e-12
        assert other[name] == pytest.approx(float(value), nan_ok=True)
    assert not one["ap"] > one["ap50"] + 1e-12
    assert not one["ar_1"] > one["ar_10"] + 1e-12

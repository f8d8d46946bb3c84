from __future__ import annotations

import pytest

from kerasft.metrics.figures import CLASSIFICATION, ENTITIES, FigureKinds
from kerasft.plots import wording

KINDS = FigureKinds((*CLASSIFICATION, *ENTITIES), ("f1",))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.8864, "88.6"), (1.0, "100"), (0.0, "0"), (0.99999, "> 99.9"), (0.0001, "< 0.1"), (-0.02, "-2.0")],
)
def test_percentages_reach_0_and_100_only_where_they_are(value, text):
    assert wording.format_percent(value) == f"{text}\u202f%"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.5, "50.0\u202f%"),
        ("f1/spam", 0.5, "50.0\u202f%"),
        ("ent_type_recall", 0.5, "50.0\u202f%"),
        ("mcc", -0.25, "-0.250"),
        ("examples", 1821.0, "1,821"),
        ("support/a", 12, "12"),
        ("bits_per_byte", 1234.5, "1,234"),
        ("perplexity", 3.14159, "3.14"),
    ],
)
def test_figures_are_written_by_their_kind(name, value, text):
    assert wording.format_figure(KINDS.find(name), value) == text


def test_intervals_name_the_unit_once():
    interval = {"value": 0.5, "low": 0.4, "high": 0.6}
    assert wording.format_interval(KINDS.find("accuracy"), interval) == "40.0–60.0\u202f%"
    assert wording.format_interval(KINDS.find("mcc"), interval) == "0.400–0.600"
    assert wording.format_interval(KINDS.find("mcc"), {"value": 0.5}) == ""


@pytest.mark.parametrize(("seconds", "text"), [(41.6, "42 s"), (185, "3 min 05 s"), (7800, "2 h 10 min")])
def test_durations(seconds, text):
    assert wording.format_duration(seconds) == text


def test_labels_are_shortened_and_isolated():
    assert wording.quote_label("الدفع") == "“\u2068الدفع\u2069”"
    assert len(wording.quote_label("x" * 500)) == 64

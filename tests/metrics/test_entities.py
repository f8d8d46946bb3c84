"""Figures of entities: seqeval and nervaluate as oracles, hand-worked cases, intervals, and what is left undefined."""

from __future__ import annotations

import json
import random
import warnings

import numpy as np
import pytest
from nervaluate.evaluator import Evaluator
from seqeval import scheme as strict_schemes
from seqeval.metrics.sequence_labeling import precision_recall_fscore_support as oracle
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_oracle
from tag_makers import TYPES, change_spans, draw_spans, draw_tags

from kerasft.errors import DataError
from kerasft.metrics.entities import explain_missing_entity_figures, measure_entities
from kerasft.metrics.figures import ENTITIES
from kerasft.text.spans.tagging_schemes import find_spans

KINDS = ("precision", "recall", "f1")
STRICT = {"IOB1": strict_schemes.IOB1, "IOB2": strict_schemes.IOB2, "BIOES": strict_schemes.IOBES}


def number(spans) -> list[tuple[int, int, int]]:
    return [(start, end, TYPES.index(name)) for start, end, name in spans]


def measure_tags(gold, predicted, scheme):
    sides = [[number(find_spans(tags, scheme)) for tags in side] for side in (gold, predicted)]
    return measure_entities(*sides, TYPES, bootstrap_samples=0)


def ask_oracle(compute, gold, predicted, **settings) -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        of_types = compute(gold, predicted, average=None, zero_division=0, **settings)
        micro = compute(gold, predicted, average="micro", zero_division=0, **settings)
    expected = dict(zip(KINDS, micro[:3], strict=True))
    # its average="macro" is this mean
    expected |= {f"macro_{kind}": np.mean(values) for kind, values in zip(KINDS, of_types, strict=False)}
    for kind, values in zip((*KINDS, "support"), of_types, strict=True):
        expected |= {f"{kind}/{name}": value for name, value in zip(sorted(TYPES), values, strict=True)}
    return expected


def assert_holds(figures, expected) -> None:
    for name, value in expected.items():
        assert figures[name]["value"] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("legal", [True, False])
@pytest.mark.parametrize("scheme", sorted(STRICT))
def test_figures_of_10_000_sequences_are_seqevals(scheme, legal):
    gold, predicted = draw_tags(scheme, 10_000, legal=legal)
    figures = measure_tags(gold, predicted, scheme)
    assert 0.2 < figures["f1"]["value"] < 0.9
    assert_holds(figures, ask_oracle(oracle, gold, predicted))


@pytest.mark.slow
@pytest.mark.parametrize("scheme", sorted(STRICT))
def test_figures_of_unbroken_sequences_are_those_of_seqevals_strict_mode(scheme):
    gold, predicted = draw_tags(scheme, 10_000, legal=True)
    expected = ask_oracle(strict_oracle, gold, predicted, scheme=STRICT[scheme])
    assert_holds(measure_tags(gold, predicted, scheme), expected)


def ask_nervaluate(gold, predicted) -> dict[str, float]:
    def describe(side):
        return [[{"label": t, "start": s, "end": e - 1} for s, e, t in spans] for spans in side]

    found = Evaluator(describe(gold), describe(predicted), TYPES, loader="dict").evaluate()
    expected = {}
    for measure, prefix in (("strict", ""), *((m, f"{m}_") for m in ("exact", "partial", "ent_type"))):
        expected |= {f"{prefix}{kind}": getattr(found["overall"][measure], kind) for kind in KINDS}
    return expected


def test_all_four_measures_are_nervaluates():
    source = random.Random(0)
    gold = [draw_spans(source, source.randint(1, 20)) for _ in range(2_000)]
    predicted = [
        change_spans(source, spans, 20) if source.random() < 0.5 else draw_spans(source, 20) for spans in gold
    ]
    figures = measure_entities([*map(number, gold)], [*map(number, predicted)], TYPES, bootstrap_samples=0)
    expected = ask_nervaluate(gold, predicted)
    assert len(set(expected.values())) == 12
    assert_holds(figures, expected)


def test_figures_worked_by_hand():
    # right; wrong type; cut short; missed; made up
    gold = [[(0, 2, 0), (4, 6, 1)], [(0, 3, 0), (7, 8, 2)], []]
    predicted = [[(0, 2, 0), (4, 6, 0)], [(1, 3, 0)], [(2, 3, 1)]]
    hits, losses = np.array([[4, 6], [7, 9], [2, 3]]), np.array([1.5, 3.0, 0.9])
    figures = measure_entities(
        gold, predicted, TYPES, token_hits=hits, token_log_losses=losses, bootstrap_samples=0
    )
    expected = {
        "examples": 3,
        "entities": 4,
        "precision": 1 / 4,
        "recall": 1 / 4,
        "f1": 1 / 4,
        "exact_precision": 2 / 4,
        "partial_precision": 2.5 / 4,
        "partial_f1": 2.5 / 4,
        "ent_type_recall": 2 / 4,
        "precision/PER": 1 / 3,
        "recall/PER": 1 / 2,
        "f1/PER": 2 / 5,
        "precision/LOC": 0,
        "recall/LOC": 0,
        "f1/LOC": 0,
        "recall/A-B": 0,
        "f1/A-B": 0,
        "support/PER": 2,
        "macro_precision": 1 / 9,
        "macro_recall": 1 / 6,
        "macro_f1": 2 / 15,
        "token_accuracy": 13 / 18,
        "log_loss": 5.4 / 18,
    }
    assert_holds(figures, expected)
    assert {name for name in figures if "/" not in name} == {kind.name for kind in ENTITIES}
    resampled = measure_entities(gold, predicted, TYPES, token_hits=hits, token_log_losses=losses)
    # the mean of any of the sentences lies between the least and the most of them
    assert 1.5 / 6 <= resampled["log_loss"]["low"] < 5.4 / 18 < resampled["log_loss"]["high"] <= 3.0 / 9
    assert "precision/A-B" not in figures
    assert all("low" not in figure for figure in figures.values())
    json.dumps(figures, allow_nan=False)


def test_a_prediction_takes_one_entity_and_an_entity_one_prediction():
    figures = measure_entities([[(0, 9, 0)]], [[(0, 3, 0), (4, 9, 0)]], TYPES, bootstrap_samples=0)
    assert_holds(figures, {"partial_precision": 0.25, "partial_recall": 0.5, "ent_type_precision": 0.5})
    figures = measure_entities([[(0, 3, 0), (4, 9, 0)]], [[(0, 9, 0)]], TYPES, bootstrap_samples=0)
    assert_holds(figures, {"partial_precision": 0.5, "partial_recall": 0.25, "ent_type_recall": 0.5})


def test_entities_that_touch_do_not_overlap():
    figures = measure_entities([[(0, 3, 0)]], [[(3, 5, 0)]], TYPES, bootstrap_samples=0)
    assert_holds(figures, {"f1": 0, "partial_f1": 0, "ent_type_f1": 0})


def test_order_and_repetition_do_not_count():
    gold = [[(0, 2, 0), (3, 4, 1), (5, 9, 2)]]
    predicted = [[(5, 8, 2), (0, 2, 0), (0, 2, 0)]]
    figures = measure_entities(gold, predicted, TYPES, bootstrap_samples=0)
    assert figures == measure_entities([gold[0][::-1]], [[(0, 2, 0), (5, 8, 2)]], TYPES, bootstrap_samples=0)
    assert_holds(figures, {"precision": 0.5, "recall": 1 / 3, "partial_recall": 0.5})


def test_what_is_undefined_is_left_out_and_explained():
    figures = measure_entities([[(0, 1, 0)], []], [[], []], TYPES[:2], bootstrap_samples=50)
    assert explain_missing_entity_figures(figures, TYPES[:2]) == {
        "precision": "no entity is predicted",
        "exact_precision": "no entity is predicted",
        "partial_precision": "no entity is predicted",
        "ent_type_precision": "no entity is predicted",
        "precision/PER": "'PER' is never predicted",
        "precision/LOC": "'LOC' is never predicted",
        "recall/LOC": "no entity is a 'LOC'",
        "f1/LOC": "'LOC' is neither an entity nor a prediction here",
    }
    assert_holds(figures, {"recall": 0, "f1": 0, "macro_f1": 0, "macro_precision": 0, "support/LOC": 0})
    nothing = measure_entities([[], []], [[], []], TYPES[:1], bootstrap_samples=50)
    assert set(nothing) == {"examples", "entities", "support/PER"}
    assert explain_missing_entity_figures(nothing, TYPES[:1])["macro_f1"].startswith("there are no entities")


def draw_entities(sentences: int, seed: int = 0):
    source = random.Random(seed)
    gold = [draw_spans(source, 12) if source.random() < 0.6 else [] for _ in range(sentences)]
    predicted = [change_spans(source, spans, 12) for spans in gold]
    return [*map(number, gold)], [*map(number, predicted)]


def test_intervals_hold_their_values_and_narrow_with_more_sentences():
    widths = []
    for sentences in (60, 6_000):
        gold, predicted = draw_entities(sentences)
        hits = np.stack([np.full(sentences, 9), np.full(sentences, 12)], axis=1)
        hits[: sentences // 2, 0] = 11
        figures = measure_entities(gold, predicted, TYPES, token_hits=hits, bootstrap_samples=400, seed=1)
        for name, figure in figures.items():
            if name.split("/")[0] not in ("examples", "entities", "support"):
                assert figure["low"] <= figure["value"] <= figure["high"], name
        widths.append(figures["f1"]["high"] - figures["f1"]["low"])
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.3)


def test_intervals_are_percentiles_of_figures_of_drawn_sentences():
    gold, predicted = draw_entities(40)
    figures = measure_entities(gold, predicted, TYPES, bootstrap_samples=2_000, seed=3)
    generator, drawn = np.random.default_rng(9), {"f1": [], "macro_f1": [], "partial_recall": []}
    for _ in range(500):
        rows = generator.integers(40, size=40)
        found = measure_entities(
            [gold[row] for row in rows], [predicted[row] for row in rows], TYPES, bootstrap_samples=0
        )
        for name, values in drawn.items():
            values.append(found[name]["value"])
    for name, values in drawn.items():
        ends = np.percentile(values, (2.5, 97.5))
        assert (figures[name]["low"], figures[name]["high"]) == pytest.approx(ends, abs=0.02), name


def test_a_perfect_figure_has_an_interval_of_as_many_trials_as_sentences_have_entities():
    gold = [[(0, 1, 0), (2, 3, 0)], [(0, 1, 1)], [], []]
    figures = measure_entities(gold, gold, TYPES, bootstrap_samples=50)
    for name in ("precision", "recall", "partial_precision"):
        assert figures[name] == {"value": 1.0, "low": pytest.approx(0.025**0.5), "high": 1.0}
    assert figures["recall/PER"]["low"] == pytest.approx(0.025)
    assert figures["f1"] == {"value": 1.0}


def test_intervals_follow_from_the_seed():
    gold, predicted = draw_entities(50)
    runs = [measure_entities(gold, predicted, TYPES, bootstrap_samples=50, seed=seed) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_each_figure_is_the_better_the_larger():
    gold, predicted = draw_entities(5)
    assert all(map(ENTITIES.higher_is_better, measure_entities(gold, predicted, TYPES, bootstrap_samples=0)))


@pytest.mark.parametrize(
    ("gold", "predicted", "error", "message"),
    [
        ([], [], DataError, "there are no examples"),
        ([[]], [], ValueError, "as many predictions as sentences"),
        ([[], [(0, 1, 3)]], [[], []], ValueError, r"sentence 1 has the entity \(0, 1, 3\)"),
        ([[]], [[(2, 2, 0)]], ValueError, r"sentence 0 has the entity \(2, 2, 0\)"),
    ],
)
def test_what_cannot_be_measured_is_refused(gold, predicted, error, message):
    with pytest.raises(error, match=message):
        measure_entities(gold, predicted, TYPES)

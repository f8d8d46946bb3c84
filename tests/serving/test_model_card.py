"""The card says what goes in, what comes out, what was measured, and no more."""

from __future__ import annotations

import pytest

from kerasft.metrics.figures import CLASSIFICATION
from kerasft.serving.model_card import write_model_card
from kerasft.tasks.answers import measure_probabilities
from kerasft.tasks.served import Served


def write(**changes) -> str:
    facts = {
        "name": "reviews",
        "task": "text_classification",
        "preset": "bert_base_en_uncased",
        "label_names": ("bad", "good"),
        "served": Served(
            module=None,
            takes="`serving_default` takes `text`, a batch, and returns",
            limits="Texts longer than 64 tokens are cut.",
            returns=["- `label`: string (batch,), the most probable class;"],
            probes=(),
            measure=measure_probabilities,
        ),
        "figures": {},
        "kinds": CLASSIFICATION,
        "data": {"splits": {"train": {"rows": 12_345}, "test": {"rows": 50}}, "fingerprint": "abc123"},
        "versions": {"keras": "3.15.1"},
    }
    return write_model_card(**{**facts, **changes})


def test_the_card_names_classes_length_data_and_versions():
    card = write()
    for part in (
        "# reviews",
        "`bad`, `good`",
        "longer than 64 tokens",
        "train 12,345, test 50",
        "abc123",
        "keras 3.15.1",
    ):
        assert part in card


def test_only_a_card_of_classes_speaks_of_classes():
    told = """and returns

- `label`: string (batch,), the most probable class;

Classes, in the order of the outputs: `bad`, `good`.
Texts longer than 64 tokens are cut.

## Measured
"""
    line = "Classes, in the order of the outputs: `bad`, `good`.\n"
    assert told in write()
    assert write(label_names=()) == write().replace(line, "")


def test_names_from_elsewhere_stay_names():
    card = write(label_names=("a`b", "\x1b[31m\nred", "``"), preset="[x](y)\u202e")
    assert "`` a`b ``, `\\x1b[31m\\nred`, ``` `` ```" in card
    assert "fine-tuned from `[x](y)\\u202e` with" in card


def test_figures_stand_by_split_with_their_intervals():
    figures = {
        "validation": {"accuracy": {"value": 0.91234, "low": 0.9, "high": 0.92}, "examples": {"value": 40}},
        "test": {"accuracy": {"value": 0.9}, "examples": {"value": 50}},
    }
    card = write(figures=figures)
    assert "| figure | validation | test |" in card
    assert "| accuracy | 0.9123 (0.9000–0.9200) | 0.9000 |" in card
    assert "| examples | 40 | 50 |" in card
    assert "| mcc |" not in card


def test_without_figures_the_card_says_so():
    assert "Not measured" in write()


@pytest.mark.parametrize(
    ("preset", "named"),
    [
        ("/home/someone/models/my_bert", "models/my_bert"),
        ("hf://owner/name", "hf://owner/name"),
        ("package:gt_model/model", "package:gt_model/model"),
    ],
)
def test_a_presets_folder_is_named_without_the_way_to_it(preset, named):
    assert f"fine-tuned from `{named}` with" in write(preset=preset)

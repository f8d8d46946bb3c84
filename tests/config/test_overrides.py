"""KEY=VALUE over a document."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerasft.config.document import Document
from kerasft.config.overrides import apply_overrides, parse_key
from kerasft.config.problems import format_key
from kerasft.experiment import ExperimentConfig

NAMES = st.text("abcdefghijklmnopqrstuvwxyz_0123456789-", min_size=1, max_size=12)
PATHS = st.builds(
    lambda first, rest: (first, *rest), NAMES, st.lists(NAMES | st.integers(0, 999_999), max_size=5)
)
PRINTABLE = st.characters(exclude_categories=("C", "Z"), exclude_characters="\ufeff")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(PRINTABLE),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(PRINTABLE, min_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)


def override(data: Any, *overrides: str) -> Document:
    document = Document(data=data, origins={(): "c.yaml:1"})
    apply_overrides(document, ExperimentConfig, overrides)
    return document


@given(PATHS)
def test_a_key_is_read_as_it_is_shown(path: tuple[str | int, ...]):
    assert parse_key(format_key(path)) == path


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "[0]", "a[x]", "a[-1]", "a[0", "a b", "a]b", "a[0]b"]
)
def test_what_is_no_key_is_none(text: str):
    assert parse_key(text) is None


@given(VALUES)
def test_any_json_value_arrives_unchanged(value: Any):
    document = override({}, f"name={json.dumps(value, ensure_ascii=False)}")
    assert document.problems == []
    assert document.data["name"] == value
    assert type(document.data["name"]) is type(value)


@given(
    st.dictionaries(NAMES, st.dictionaries(NAMES, st.integers(), max_size=3), max_size=3),
    NAMES,
    NAMES,
    st.integers(),
)
def test_an_override_changes_what_it_names_and_nothing_else(
    data: dict[str, dict[str, int]], section: str, key: str, value: int
):
    before = json.loads(json.dumps(data))
    document = override(data, f"{section}.{key}={value}")
    assert document.data[section].pop(key) == value
    before.setdefault(section, {}).pop(key, None)
    assert document.data == before
    assert document.find_origin((section, key)) == f"override {section}.{key}={value}"


def test_the_last_of_two_overrides_holds():
    assert override({}, "seed=1", "seed=2").data == {"seed": 2}


def test_a_list_item_is_replaced_or_appended():
    document = override(
        {"data": {"train": {"path": ["a", "b"]}}}, "data.train.path[1]=x", "data.train.path[2]=y"
    )
    assert document.problems == []
    assert document.data["data"]["train"]["path"] == ["a", "x", "y"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epochs", "expected KEY=VALUE"),
        ("=3", "expected KEY=VALUE"),
        ("a b=3", "expected KEY=VALUE"),
        ("seed=[1", "not valid YAML"),
        ("data.train.delimiter=,", "in quotes"),
        ("seed.x=1", "seed is the value 5, not a section of keys"),
        ("seed[0]=1", "seed is not a list"),
        ("missing[0]=1", "missing is not a list"),
        ("items[3]=1", "items has 2 items"),
        ("items.x=1", "items is a list, not a section"),
    ],
)
def test_a_wrong_override_is_shown_whole(text: str, words: str):
    (problem,) = override({"seed": 5, "items": [1, 2]}, text).problems
    assert problem.where == f"override {text}"
    assert words in str(problem)


def test_an_override_inside_a_section_left_out_starts_from_its_default():
    section = override({}, "train.schedule.type=cosine").data["train"]["schedule"]
    assert section == {"type": "cosine", "warmup": 0.1}
    section = override({}, "train.optimizer.learning_rate=1e-4").data["train"]["optimizer"]
    assert section == {"type": "adamw", "learning_rate": 1e-4, "weight_decay": 0.01}


@pytest.mark.parametrize("reverse", [False, True])
def test_a_new_type_takes_nothing_from_the_default_of_the_old(reverse: bool):
    overrides = ["train.optimizer.type=gradient_descent", "train.optimizer.learning_rate=0.1"]
    document = override({}, *(reversed(overrides) if reverse else overrides))
    assert document.data["train"]["optimizer"] == {"type": "gradient_descent", "learning_rate": 0.1}

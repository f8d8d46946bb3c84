"""compare: two runs by their kept predictions, and what cannot be compared."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kerasft
from kerasft.errors import ConfigError, DataError
from kerasft.integrity import write_recorded_text
from kerasft.runs.folder import RunFolder

FIXTURES = ("tiny_run", "tiny_entity_run", "tiny_image_run")


@pytest.fixture
def change(tmp_path: Path) -> Callable[[RunFolder, Callable[[list[Any]], Any]], Path]:
    """A copy of what a run keeps for comparing, its test records changed."""

    def copy(run: RunFolder, edit: Callable[[list[Any]], Any]) -> Path:
        path = tmp_path / "other"
        shutil.copytree(
            run.path, path, ignore=shutil.ignore_patterns("dataset", "cache", "export", "checkpoints")
        )
        file = path / "predictions" / "test.jsonl"
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        edit(rows)
        write_recorded_text(path, file, "".join(json.dumps(row) + "\n" for row in rows))
        return path

    return copy


@pytest.mark.parametrize("name", FIXTURES)
def test_a_run_is_no_better_than_itself_and_has_the_figures_that_were_measured(
    name: str, request: pytest.FixtureRequest
) -> None:
    run = kerasft.load_run(request.getfixturevalue(name).path)
    compared = run.compare(run.folder.path, samples=20)
    measured = run.metrics["evaluate"]["test"]
    missing = {"token_accuracy", "log_loss"} if name == "tiny_entity_run" else set()
    counts = {
        figure for figure in measured if figure.partition("/")[0] in ("examples", "entities", "support")
    }
    assert set(compared) == set(measured) - counts - missing
    for figure, one in compared.items():
        assert one.first == one.second == pytest.approx(measured[figure]["value"], abs=1e-12), figure
        assert one[2:] == (0.0, None, None, 1.0)


def test_answers_that_are_worse_give_a_difference(tiny_run, change) -> None:
    def spoil(rows: list[Any]) -> None:
        for row in rows[::2]:
            names = list(row["probabilities"])
            row["probabilities"] = {name: float(name != row["label"]) for name in names}

    run = kerasft.load_run(tiny_run.path)
    accuracy = run.compare(change(tiny_run, spoil), samples=200)["accuracy"]
    assert accuracy.difference < 0
    assert accuracy.low <= accuracy.difference <= accuracy.high < 0
    assert accuracy.p_value < 0.05


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda rows: rows.pop(), "1 examples differ, of 24 and 23: lines 24$"),
        (lambda rows: rows[1].update(text="another"), "lines 2$"),
        (lambda rows: rows.reverse(), r"examples differ, of \d+ and \d+: lines 1, 2, 3, …"),
        (
            lambda rows: rows[0].update(label="liked" if rows[0]["label"] != "liked" else "disliked"),
            "lines 1$",
        ),
    ],
)
def test_runs_whose_examples_differ_are_refused(tiny_run, change, edit, told) -> None:
    with pytest.raises(DataError) as caught:
        kerasft.load_run(tiny_run.path).compare(change(tiny_run, edit))
    assert re.search(told, caught.value.what)


def test_where_the_same_examples_came_from_does_not_matter(tiny_run, change) -> None:
    other = change(tiny_run, lambda rows: [row.update(origin="elsewhere:1") for row in rows])
    assert kerasft.load_run(tiny_run.path).compare(other, samples=5)["accuracy"].difference == 0


def test_other_tasks_and_splits_that_were_not_measured_are_refused(tiny_run, tiny_entity_run) -> None:
    run = kerasft.load_run(tiny_run.path)
    with pytest.raises(ConfigError, match="different tasks: text_classification"):
        run.compare(tiny_entity_run.path)
    with pytest.raises(ConfigError, match="no predictions of train"):
        run.compare(run, split="train")

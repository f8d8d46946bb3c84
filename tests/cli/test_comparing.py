"""`kerasft compare`: a table or JSON of two runs' figures, and what cannot be compared."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kerasft
from kerasft.cli.main import main
from kerasft.integrity import write_recorded_text
from kerasft.runs.folder import RunFolder

Edit = Callable[[list[Any]], Any]


@pytest.fixture
def change(tmp_path: Path) -> Callable[[RunFolder, Edit], Path]:
    """A copy of what a run keeps for comparing, its test records changed."""

    def copy(run: RunFolder, edit: Edit) -> Path:
        path = tmp_path / "other"
        (path / "predictions").mkdir(parents=True)
        for name in ("task.json", "model.keras", "metrics.json"):
            shutil.copy(run.path / name, path / name)
        rows = [json.loads(line) for line in (run.predictions / "test.jsonl").read_text().splitlines()]
        edit(rows)
        text = "".join(json.dumps(row) + "\n" for row in rows)
        write_recorded_text(path, path / "predictions" / "test.jsonl", text)
        return path

    return copy


def spoil(rows: list[Any]) -> None:
    """Every second answer becomes sure and wrong."""
    for row in rows[::2]:
        row["probabilities"] = {name: float(name != row["label"]) for name in row["probabilities"]}


def read_rows(table: str) -> dict[str, list[str]]:
    """The cells of an aligned table by their row's first one."""
    return {line.split()[0]: line.split() for line in table.splitlines() if line.startswith("  ")}


def test_a_worse_run_is_called_worse_and_the_better_one_better(tiny_run, change, capsys) -> None:
    good, bad = str(tiny_run.path), str(change(tiny_run, spoil))
    assert main(["compare", good, bad]) == 0
    shown = capsys.readouterr().out
    assert f"{bad} (second) compared with {good} (first): test, 24 examples" in shown
    rows = read_rows(shown)
    assert rows["accuracy"][-1] == "worse"
    assert rows["log_loss"][-1] == "worse", "of a loss, more is worse"
    assert float(rows["accuracy"][3]) < 0 < float(rows["log_loss"][3])
    assert "chance alone" in shown
    assert main(["compare", bad, good]) == 0
    rows = read_rows(capsys.readouterr().out)
    assert (rows["accuracy"][-1], rows["log_loss"][-1]) == ("better", "better")


def test_a_run_compared_with_itself_shows_no_difference_and_writes_nothing(tiny_entity_run, capsys) -> None:
    path = str(tiny_entity_run.path)
    before = sorted(tiny_entity_run.path.rglob("*"))
    assert main(["compare", path, path]) == 0
    shown = capsys.readouterr().out
    assert read_rows(shown)["f1"][-3:] == ["no", "difference", "shown"]
    assert "chance" not in shown
    assert shown.splitlines()[-1].endswith("hold what they need: token_accuracy, log_loss.")
    assert sorted(tiny_entity_run.path.rglob("*")) == before


def test_json_has_what_python_gives(tiny_run, change, capsys) -> None:
    other = change(tiny_run, spoil)
    assert main(["compare", str(tiny_run.path), str(other), "--json", "--seed", "3"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["first"], shown["second"], shown["split"]) == (str(tiny_run.path), str(other), "test")
    assert (shown["examples"], shown["missing"]) == (24, [])
    assert shown["undefined"] == ["precision/liked"], "the worse run says it of no example"
    assert shown["figures"]["accuracy"].pop("verdict") == "worse"
    compared = kerasft.load_run(tiny_run.path).compare(other, seed=3)
    assert shown["figures"]["accuracy"] == compared["accuracy"]._asdict()
    assert list(shown["figures"]) == list(compared)


def test_other_examples_end_with_3(tiny_run, change, capsys) -> None:
    assert main(["compare", str(tiny_run.path), str(change(tiny_run, list.reverse))]) == 3
    assert "examples differ" in capsys.readouterr().err


def test_damaged_predictions_end_with_9_and_those_of_another_shape_with_2(tiny_run, change, capsys) -> None:
    other = change(tiny_run, lambda rows: rows[0]["probabilities"].popitem())
    assert main(["compare", str(tiny_run.path), str(other)]) == 2
    assert "test.jsonl: is damaged" in capsys.readouterr().err
    with open(other / "predictions" / "test.jsonl", "a") as file:
        file.write("\n")
    assert main(["compare", str(tiny_run.path), str(other)]) == 9


def test_other_tasks_labels_and_splits_end_with_2(tiny_run, tiny_entity_run, change, capsys) -> None:
    one = str(tiny_run.path)
    assert main(["compare", one, str(tiny_entity_run.path)]) == 2
    assert "different tasks: text_classification and token_classification" in capsys.readouterr().err
    assert main(["compare", one, one, "--split", "train"]) == 2
    assert "no predictions of train" in capsys.readouterr().err
    other = change(tiny_run, lambda rows: None)
    facts = json.loads((other / "task.json").read_text())
    facts["label_names"][0] = "new"
    write_recorded_text(other, other / "task.json", json.dumps(facts))
    assert main(["compare", one, str(other)]) == 2
    assert "different labels: only the first has disliked; only the second has new" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-folder", "."], "no trained model"),
        ([".", ".", "train.epochs=1"], "only task.type"),
        ([".", ".", "task.type=frobnicate"], "unknown task frobnicate"),
        ([".", ".", "--samples", "10"], "--samples"),
    ],
)
def test_wrong_arguments_end_with_2(arguments: list[str], words: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["compare", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_neither_model_is_loaded(tiny_run) -> None:
    code = (
        "import sys; from kerasft.cli.main import main; "
        f"code = main(['compare', {str(tiny_run.path)!r}, {str(tiny_run.path)!r}]); "
        "print(code, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "0 False", done.stderr

"""Other test data for a trained model: of several class targets each has its own classes."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kerasft.data.config import DataConfig
from kerasft.data.kinds.fields import Field
from kerasft.errors import ConfigError, DataError
from kerasft.progress import Silent
from kerasft.runs.folder import RunFolder
from kerasft.training.other_data import prepare_other_test

FIELDS = (Field("text", "text"), Field("topic", "label", "target"), Field("tones", "labels", "target"))
CLASSES = {"topic": ["work", "home"], "tones": ["warm", "curt", "dry"]}
ROWS = [
    {"text": "the report is late", "topic": "work", "tones": ["curt", "dry"]},
    {"text": "tea is ready", "topic": "home", "tones": ["warm"]},
]


@pytest.fixture
def open_other(tmp_path: Path) -> Any:
    """(rows, facts of task.json) → the prepared rows."""
    run = RunFolder(tmp_path / "run")

    def prepare(rows: list[dict], **facts: Any) -> Any:
        (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        data = DataConfig.model_validate({"test": {"format": "jsonl", "path": str(tmp_path / "t.jsonl")}})
        config: Any = SimpleNamespace(task=SimpleNamespace(fields=FIELDS), data=data, seed=0)
        run.path.mkdir(exist_ok=True)
        run.model.touch()
        task = {"task": {"type": "x"}, "model": {}, "fingerprint": "", "dataset_fingerprint": ""}
        run.write_json(run.task, {**task, "label_names": CLASSES["topic"], **facts})
        return prepare_other_test(config, run, Silent())

    return prepare


def test_each_target_has_the_classes_that_the_model_learned_for_it(open_other) -> None:
    with open_other(ROWS, class_names=CLASSES) as (_, dataset):
        examples = dataset.split("test").take(range(2))
        assert [(one["topic"], one["tones"]) for one in examples] == [(0, (1, 2)), (1, (0,))]
        assert dataset.class_names == {name: tuple(names) for name, names in CLASSES.items()}


def test_an_unknown_class_of_the_second_is_told_with_the_classes_of_each(open_other) -> None:
    with (
        pytest.raises(DataError, match="loud") as caught,
        open_other([*ROWS, {"text": "hey", "topic": "home", "tones": ["loud"]}], class_names=CLASSES),
    ):
        pass
    assert str(caught.value.fix).endswith("topic: work, home; tones: warm, curt, dry.")


def test_where_the_run_does_not_record_them_they_are_not_made_up(open_other) -> None:
    with pytest.raises(ConfigError, match="which classes of tones"), open_other(ROWS):
        pass

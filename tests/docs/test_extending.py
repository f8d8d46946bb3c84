"""The examples of docs/extending.md are complete: each is run as it is printed."""

from __future__ import annotations

import importlib
import json
import re
import sys
import tomllib
import types
from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

import kerasft.data.config
import kerasft.data.sources
from kerasft.config.loading import load_config
from kerasft.data.config import DataConfig
from kerasft.data.feed import Feed
from kerasft.data.kinds import KINDS
from kerasft.data.kinds.fields import Field
from kerasft.data.prepare.dataset import prepare_dataset
from kerasft.data.sources import READERS
from kerasft.experiment import ExperimentConfig
from kerasft.metrics.tally import Tally
from kerasft.tasks import load_display, load_task_class
from kerasft.tasks.base import Task
from kerasft.tasks.config import TaskConfig
from kerasft.tasks.display import Display
from kerasft.tasks.served import Served
from kerasft.tasks.text_encoder import TextEncoderTask

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PAIR_SCORES = ROOT / "tests" / "tasks" / "pair_scores"


def read_section(heading: str) -> str:
    """What stands under a heading, up to the next one of the same rank."""
    rank = heading.split(" ")[0]
    return PAGE.split(f"\n{heading}\n")[1].split(f"\n{rank} ")[0]


def list_blocks(section: str, language: str = "python") -> list[str]:
    """The blocks of code in a section."""
    return re.findall(rf"^```{language}\n(.*?)^```", section, re.DOTALL | re.MULTILINE)


# A task: tests/tasks/test_outside_task.py takes these files from `prepare` to `export`


@pytest.mark.parametrize("name", ["config.py", "task.py"])
def test_the_task_is_printed_whole(name: str) -> None:
    (code,) = list_blocks(read_section(f"### pair_scores/{name}"))
    assert code == (PAIR_SCORES / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("contract", [Task, TextEncoderTask, Feed, Tally, TaskConfig])
def test_every_abstract_member_is_explained(contract: type) -> None:
    explained = set(re.findall(r"`(\w+)`", read_section("## A new task")))
    assert set(getattr(contract, "__abstractmethods__", ())) - explained == set()


@pytest.mark.parametrize("contract", [Task, Feed, Tally, Display])
def test_every_other_member_is_named(contract: type) -> None:
    explained = set(re.findall(r"`(\w+)`", read_section("## A new task")))
    members = {name for name, value in vars(contract).items() if not name.startswith("_")}
    assert members - explained == set()


def test_every_attribute_of_what_is_served_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", read_section("### pair_scores/task.py")))
    assert {field.name for field in dataclass_fields(Served)} - explained == set()


def test_the_entry_point_is_that_of_the_task() -> None:
    (block,) = list_blocks(read_section("### Packaging"), "toml")
    project = tomllib.loads(block)
    assert project["project"]["entry-points"] == {"kerasft.tasks": {"pair_score": "pair_scores"}}
    assert project["tool"]["setuptools"]["packages"] == [PAIR_SCORES.name]
    assert 'Literal["pair_score"]' in (PAIR_SCORES / "config.py").read_text(encoding="utf-8")


# A figure


@pytest.fixture
def balanced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package of the new figure, as pip would install it."""
    section = read_section("## A new figure")
    (entry_point,) = re.findall(r"entry point is\s`(\w+) = \"(\w+)\"`", section)
    package = tmp_path / "site-packages" / "balanced"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    for name, code in zip(("config", "task", "display"), list_blocks(section), strict=True):
        assert f"balanced/{name}.py" in section
        (package / f"{name}.py").write_text(code)
    described = package.parent / "balanced-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: balanced\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[kerasft.tasks]\n{} = {}\n".format(*entry_point))
    monkeypatch.syspath_prepend(str(package.parent))
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "balanced"]:
        del sys.modules[name]


def test_the_figure_is_computed_with_its_interval_and_chooses_the_epoch(
    balanced: None, tmp_path: Path, tiny_preset: Path
) -> None:
    document = {
        "name": "reviews",
        "task": {"type": "balanced_text_classification"},
        "data": {"train": {"format": "jsonl", "path": "reviews.jsonl"}},
        "model": {"preset": str(tiny_preset), "max_length": 48},
    }
    (tmp_path / "reviews.yaml").write_text(json.dumps(document))
    config = load_config(ExperimentConfig, tmp_path / "reviews.yaml").config
    assert config.train.monitor == "balanced_accuracy"
    task_class = load_task_class("balanced_text_classification")
    task = task_class(config.task, config.model, ("a", "b", "c"), tiny_preset)
    generator = np.random.default_rng(0)
    labels = generator.choice(3, 200, p=[0.8, 0.15, 0.05])
    logits = np.float32(generator.standard_normal((200, 3)) + 1.5 * np.eye(3)[labels])
    tally = task.open_tally()
    tally.add(range(200), [{"logits": row} for row in logits], labels)

    figures = tally.compute_figures(bootstrap_samples=500, seed=0)

    figure = figures["balanced_accuracy"]
    assert figure["value"] == pytest.approx(balanced_accuracy_score(labels, logits.argmax(-1)))
    assert figure["low"] < figure["value"] < figure["high"]
    assert set(figures) >= {"accuracy", "f1/a"}
    assert set(tally.compute_figures()["balanced_accuracy"]) == {"value"}
    kinds = config.task.figure_kinds
    assert kinds.find("balanced_accuracy").title == "Balanced accuracy"
    assert kinds.find("f1/a").form == "share"
    display = load_display("balanced_text_classification")(config.task, task.label_names)
    assert display.list_cells({"label": "b", "probabilities": {"a": 0.1, "b": 0.7, "c": 0.2}})[0] == "b"


# A kind of field


def test_the_kind_reads_stores_and_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = list_blocks(read_section("## A new kind of field"))
    (tmp_path / "shown_duration.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(KINDS, "duration", "shown_duration")
    values = ["1:30", 12.5, "0:05", "soon"]
    rows = [{"text": f"a text of number {number}", "length": value} for number, value in enumerate(values)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    config = DataConfig.model_validate(
        {
            "train": {"format": "jsonl", "path": "a.jsonl"},
            "validation_share": 0,
            "test_share": 0,
            "max_rejected": 0.5,
        }
    )
    fields = (Field("text", "text"), Field("length", "duration", "target"))
    dataset = prepare_dataset(config, fields, tmp_path / "data", base=tmp_path, seed=0)
    assert [example["length"] for example in dataset.split("train").take(range(3))] == [90.0, 12.5, 5.0]
    assert dataset.split("train").column("length").tolist() == [90.0, 12.5, 5.0]
    (rejected,) = map(json.loads, (dataset.folder / "rejected.jsonl").read_text().splitlines())
    assert (rejected["row"], rejected["reason"], rejected["detail"]) == (4, "not a number", "found 'soon'")


# A source


def extend_schema(schema: str) -> Any:
    """`kerasft.data.config` with the edits that the page asks for."""
    source = Path(kerasft.data.config.__file__).read_text(encoding="utf-8")
    assert source.count("\nSource = ") == source.count("| TfdsSource,\n") == 1
    source = source.replace("\nSource = ", f"\n{schema}\n\nSource = ")
    source = source.replace("| TfdsSource,\n", "| TfdsSource | FastTextSource,\n")
    module = types.ModuleType("extended_config")
    sys.modules["extended_config"] = module
    exec(compile(source, "extended_config", "exec"), vars(module))
    return module


def test_the_source_is_read_and_rejects_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    schema, reader, line = list_blocks(read_section("## A new source"))
    monkeypatch.setitem(sys.modules, "extended_config", None)
    config_class = extend_schema(schema).DataConfig
    (format_name, module_name) = re.findall(r'"([\w.]+)"', line)
    assert f'"{format_name}"' in schema
    assert f"`{module_name.replace('.', '/')}.py`" in read_section("## A new source")
    (tmp_path / "fasttext.py").write_text(reader)
    monkeypatch.setattr(kerasft.data.sources, "__path__", [*kerasft.data.sources.__path__, str(tmp_path)])
    monkeypatch.setitem(READERS, format_name, module_name)
    lines = [f"__label__{'good' if i % 2 else 'bad'} text number {i}\n" for i in range(20)]
    (tmp_path / "train.txt").write_bytes("".join(lines).encode() + b"no label here\n__label__bad \xff\n")
    document = {"train": {"format": format_name, "path": "train.txt"}, "max_rejected": 0.5}
    config = config_class.model_validate({**document, "validation_share": 0, "test_share": 0})
    fields = (Field("text", "text"), Field("label", "label", "target"))

    dataset = prepare_dataset(config, fields, tmp_path / "data", base=tmp_path, seed=0)

    assert dataset.split("train").take([0, 1]) == [
        {"text": "text number 0", "label": 0},
        {"text": "text number 1", "label": 1},
    ]
    rejected = map(json.loads, (dataset.folder / "rejected.jsonl").read_text().splitlines())
    assert [(row["row"], row["reason"]) for row in rejected] == [(21, "missing label"), (22, "invalid UTF-8")]
    wrong = importlib.import_module(module_name)
    with pytest.raises(kerasft.errors.DataError, match="has no 'image'"):
        next(
            wrong.read_rows(types.SimpleNamespace(name="train.txt"), config.train, [Field("image", "image")])
        )

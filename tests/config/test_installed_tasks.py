"""Tasks of other installed packages: their configs, and who may have them imported."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kerasft.cli.main import main
from kerasft.config.loading import dump_config, load_config
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig, build_json_schema
from kerasft.integrity import record_files, write_hashes
from kerasft.runs.folder import RunFolder
from kerasft.tasks import list_tasks, load_task_class
from kerasft.training.trained import build_task, load_trained, write_task

PACKAGE = '''
from typing import Literal

import pydantic

from kerasft.config.base import Config
from kerasft.data.kinds.fields import Field
from kerasft.metrics.figures import FigureKind, FigureKinds
from kerasft.models.config import TextModelConfig
from kerasft.tasks.config import Sections, TaskConfig
from kerasft.training.config import TrainConfig


class GradingConfig(TaskConfig):
    """A grade for a text."""

    type: Literal["grading"]
    halves: bool = False
    """Whether there are half grades."""

    @property
    def fields(self):
        return Field("text", "text"), Field("grade", "number", "target")

    @property
    def figure_kinds(self):
        return FigureKinds((FigureKind("error", "Mean error", "in grades", False, "number"),))

    @property
    def answer_keys(self):
        return ("grade",)


class GradingTrainConfig(TrainConfig):
    """How it learns."""

    monitor: str = "error"


class ScaleConfig(Config):
    """The scale of the grades."""

    lowest: int = 1
    highest: int = pydantic.Field(6, ge=2)


SECTIONS = Sections(
    task=GradingConfig, model=TextModelConfig, train=GradingTrainConfig, own={"scale": ScaleConfig}
)
'''
CONFIG = """name: essays
task: {type: grading, halves: true}
data: {train: {format: jsonl, path: essays.jsonl}}
model: {preset: bert_tiny_en_uncased}
train:
  epochs: 2
scale: {highest: 15}
"""
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package with a task, `install("graders", {"grading": "graders"}, config=…)`."""
    site = tmp_path / "site-packages"
    installed = []

    def install(package: str, tasks: dict[str, str], **modules: str) -> None:
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").touch()
        for name, text in modules.items():
            (site / package / f"{name}.py").write_text(text)
        described = site / f"{package}-1.0.dist-info"
        described.mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
        lines = "".join(f"{name} = {module}\n" for name, module in tasks.items())
        (described / "entry_points.txt").write_text(f"[kerasft.tasks]\n{lines}")
        installed.append(package)
        monkeypatch.syspath_prepend(str(site))

    yield install
    for name in [name for name in sys.modules if name.split(".")[0] in installed]:
        del sys.modules[name]


@pytest.fixture
def essays(install: Install, tmp_path: Path) -> Path:
    """The config of an experiment whose task is installed."""
    install("graders", {"grading": "graders"}, config=PACKAGE)
    path = tmp_path / "essays.yaml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def foreign_run(essays: Path, tmp_path: Path) -> Path:
    """A run folder of the installed task, as it is in another process: nothing has imported the task yet."""
    folder = tmp_path / "runs" / "essays"
    dump_config(load_config(ExperimentConfig, essays).config, folder / "config.yaml")
    record_files(folder, [folder / "config.yaml"])
    forget()
    return folder


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "graders"]:
        del sys.modules[name]


def find_mistakes(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_config(ExperimentConfig, path, overrides)
    return str(caught.value).replace(str(path), path.name).split("\n")[:-1]


def test_a_config_may_name_the_task_of_an_installed_package(essays: Path, tmp_path: Path):
    config = load_config(ExperimentConfig, essays, ["scale.lowest=0"]).config
    assert (config.task.type, config.task.halves, config.train.monitor) == ("grading", True, "error")
    assert {name: own.model_dump() for name, own in config.own_sections.items()} == {
        "scale": {"lowest": 0, "highest": 15}
    }
    dump_config(config, tmp_path / "again.yaml")
    assert load_config(ExperimentConfig, tmp_path / "again.yaml").config == config


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("highest: 15", "highest: 1", "essays.yaml:7: scale.highest: expected a whole number ≥ 2, got 1"),
        ("highest: 15", "hihgest: 1", "essays.yaml:7: scale.hihgest: unknown key; did you mean scale.highest?"),
        ("scale:", "skale:", "essays.yaml:7: skale: unknown key; did you mean scale?"),
        ("halves: true", "halves: 1", "essays.yaml:2: task.halves: expected true or false, got 1"),
        ("halves: true", "labels: [a]", "essays.yaml:2: task.labels: unknown key for type: grading; its keys: type, "
            "halves"),
        ("epochs: 2", "monitor: accuracy", "essays.yaml:6: train.monitor: grading has no figure 'accuracy' to choose "
            "the best epoch by; it has error"),
        ("type: grading", "type: gradign", "essays.yaml:2: task.type: expected one of causal_lm, grading, "
            'image_classification, masked_lm, object_detection, '
            'text_classification, token_classification; got "gradign"; '
            'did you mean grading?'),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(essays: Path, old: str, new: str, told: str):
    essays.write_text(CONFIG.replace(old, new))
    assert find_mistakes(essays) == [told]


def test_all_mistakes_are_told_at_once(essays: Path):
    essays.write_text(CONFIG.replace("15", "1").replace("true", "1").replace("epochs: 2", "epochs: 0"))
    assert [line.split(": ")[1] for line in find_mistakes(essays)] == [
        "task.halves",
        "train.epochs",
        "scale.highest",
    ]


def test_a_misspelt_name_imports_nothing(essays: Path):
    essays.write_text(CONFIG.replace("grading", "gradign").replace("essays\n", "5\n"))
    assert [line.split(": ")[1] for line in find_mistakes(essays)] == ["name", "task.type"]
    assert "graders" not in sys.modules


def test_a_config_of_another_task_imports_nothing(essays: Path):
    essays.write_text(CONFIG.replace("grading, halves: true", "text_classification").replace("scale", "#"))
    assert load_config(ExperimentConfig, essays).config.task.type == "text_classification"
    assert "graders" not in sys.modules


def test_a_run_folder_has_no_package_imported(foreign_run: Path, capsys: pytest.CaptureFixture[str]):
    for command in (["evaluate", str(foreign_run)], ["predict", str(foreign_run / "config.yaml"), "a text"]):
        assert main(command) == 2
        told = capsys.readouterr().err
        assert (
            "the task grading belongs to another package, graders, and is named only by a run folder" in told
        )
        assert "task.type=grading" in told
    assert "graders" not in sys.modules
    with pytest.raises(ConfigError, match="is named only by a run folder"):
        load_task_class("grading")
    assert "graders" not in sys.modules


def test_a_run_folders_name_is_no_override(foreign_run: Path, monkeypatch: pytest.MonkeyPatch):
    foreign_run.rename(foreign_run.parent / "override x")
    monkeypatch.chdir(foreign_run.parent)
    with pytest.raises(ConfigError, match=r"task\.type=grading"):
        load_config(ExperimentConfig, Path("override x"))
    assert "graders" not in sys.modules


def test_what_the_user_names_besides_a_run_folder_is_imported(foreign_run: Path):
    for override in ("task.type=grading", "task={type: grading}"):
        assert load_config(ExperimentConfig, foreign_run, [override]).config.scale.highest == 15
        assert "graders" in sys.modules
        forget()
    with pytest.raises(ConfigError, match="is named only by a run folder"):
        load_config(ExperimentConfig, foreign_run, ["task.halves=false"])


def test_overrides_of_a_tasks_own_section_are_no_texts(foreign_run: Path, capsys: pytest.CaptureFixture[str]):
    asked = ["predict", str(foreign_run), "task.type=grading", "scale.lowest=many", "An essay."]
    assert main(asked) == 2
    assert "scale.lowest=many" in capsys.readouterr().err


def test_a_package_that_the_program_has_imported_needs_no_naming(foreign_run: Path):
    __import__("graders")
    assert load_config(ExperimentConfig, foreign_run).config.task.type == "grading"


def test_a_module_that_is_no_task_is_never_imported(foreign_run: Path):
    (foreign_run.parent / "site.yaml").write_text(CONFIG.replace("type: grading", "type: graders.config"))
    (told,) = find_mistakes(foreign_run.parent / "site.yaml")
    assert "expected one of causal_lm, grading" in told
    assert "graders" not in sys.modules


def test_the_schema_knows_installed_tasks(essays: Path, capsys: pytest.CaptureFixture[str]):
    assert "grading" in list_tasks()
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema == build_json_schema()
    assert "grading" in schema["properties"]["task"]["properties"]["type"]["enum"]
    assert "scale" in schema["$defs"]["GradingExperiment"]["properties"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "import pydantic\n",
            "import no_such_module\n",
            "cannot be loaded: ModuleNotFoundError: No module named",
        ),
        ("SECTIONS =", "PARTS =", "cannot be loaded: AttributeError"),
        ("SECTIONS = Sections(", "SECTIONS = dict(", "SECTIONS must be a kerasft.tasks.config.Sections"),
        ("def answer_keys", "def keys", "GradingConfig lacks answer_keys"),
        (
            "task=GradingConfig",
            "task=Config",
            "the schema of task must be a kerasft.tasks.config.TaskConfig",
        ),
        (
            "train=GradingTrainConfig",
            "train=Config",
            "the schema of train must be a kerasft.training.config",
        ),
        ('Literal["grading"]', "str", '`type: Literal["grading"]`'),
        ("lowest: int = 1", "lowest: int", "each key of scale needs a default: lowest has none"),
        ('"scale": ScaleConfig', '"scale": 5', "the schema of scale must be a kerasft.config.base.Config"),
        (
            '"scale": ScaleConfig',
            '"data": ScaleConfig',
            "sections that every experiment already has: data",
        ),
    ],
)
def test_a_package_that_is_wrong_is_told(install: Install, tmp_path: Path, old: str, new: str, told: str):
    assert old in PACKAGE
    install("graders", {"grading": "graders"}, config=PACKAGE.replace(old, new))
    (tmp_path / "essays.yaml").write_text(CONFIG)
    with pytest.raises(ConfigError, match=r"graders|SECTIONS") as caught:
        load_config(ExperimentConfig, tmp_path / "essays.yaml")
    assert told in str(caught.value)


def test_two_packages_with_one_name_are_told(essays: Path, install: Install):
    install("markers", {"grading": "markers"}, config=PACKAGE)
    with pytest.raises(
        ConfigError, match="several installed packages provide a task of this name: graders, markers"
    ):
        load_config(ExperimentConfig, essays)


def test_no_package_takes_the_place_of_a_task_of_kerasft(install: Install, tmp_path: Path):
    install("graders", {"text_classification": "graders"}, config="raise SystemError")
    (tmp_path / "essays.yaml").write_text(
        CONFIG.replace("grading, halves: true", "text_classification").replace("scale", "#")
    )
    config = load_config(ExperimentConfig, tmp_path / "essays.yaml").config
    assert type(config.task).__module__ == "kerasft.tasks.text_classification.config"


TASK = """
class TaskClass:
    def __init__(self, config, model_config, label_names, preset, *, scale):
        self.config, self.label_names, self.scale = config, label_names, scale
"""


def test_sections_of_its_own_reach_the_task_and_stay_with_the_trained_model(essays: Path, tmp_path: Path):
    (tmp_path / "site-packages" / "graders" / "task.py").write_text(TASK)
    config = load_config(ExperimentConfig, essays).config
    task = build_task(config, ("1", "2"), None)
    assert (task.config, task.scale) == (config.task, config.own_sections["scale"])

    run = RunFolder(tmp_path / "runs" / "essays")
    with run.owned():
        run.preset.mkdir()
        run.model.touch()
        write_hashes(run.preset)
        write_task(run, config, task, fingerprint="", dataset_fingerprint="")
    assert load_trained(run).task.scale == task.scale
    assert load_trained(run, config).task.scale == task.scale
    other = load_config(ExperimentConfig, essays, ["scale.highest=20"]).config
    with pytest.raises(ConfigError, match=r"trained with scale\.highest: 15, not 20"):
        load_trained(run, other)

"""The house's import rule: rooms import upwards only, and what validation touches stays light."""

from __future__ import annotations

import ast
import functools
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import kerasft
from kerasft.tasks import TASKS

ROOT = Path(kerasft.__file__).parent
ROOMS = (
    "printable",
    "errors",
    "files",
    "json_values",
    "untrusted",
    "integrity",
    "damage",
    "foreign",
    "packages",
    "network",
    "progress",
    "config",
    "runs",
    "text",
    "vision",
    "data",
    "optimizers",
    "metrics",
    "plots",
    "models",
    "tasks",
    "experiment",
    "training",
    "attribution",
    "serving",
    "report",
    "stages",
    "cli",
)
APART = ("samples",)
TOP = ("", "api", "__main__")
"""The public names: these may import anything, and nothing but the commands imports them."""
HEAVY = (
    "tensorflow",
    "keras",
    "keras_hub",
    "keras_nlp",
    "tensorflow_datasets",
    "numpy",
    "pyarrow",
    "matplotlib",
)


class Import(NamedTuple):
    """One import of a module of kerasft or of another package."""

    importer: str
    imported: str
    line: int
    at_module_level: bool
    for_types_only: bool

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def list_modules() -> dict[str, Path]:
    """Dotted name below `kerasft` → file; `""` is the package itself."""
    modules = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


MODULES = list_modules()


@functools.cache
def parse(path: Path) -> ast.Module:
    """A module's tree: several tests walk each."""
    return ast.parse(path.read_text(encoding="utf-8"))


def read_imports(name: str) -> Iterator[Import]:
    """All imports of a module, those inside functions as well; names below kerasft without `kerasft.`"""

    def walk(node: ast.AST, level: bool, types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inner_types = types or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test))
            inner_level = level and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            for target in _targets(child, name):
                yield Import(name, target, child.lineno, inner_level, inner_types)
            yield from walk(child, inner_level, inner_types)

    yield from walk(parse(MODULES[name]), True, False)


def _targets(node: ast.AST, importer: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [_shorten(alias.name) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, f"{importer}:{node.lineno} has a relative import"
        base = _shorten(node.module or "")
        inside = [f"{base}.{alias.name}".removeprefix("kerasft/.").removeprefix(".") for alias in node.names]
        return [target if target in MODULES else base for target in inside]
    return []


def _shorten(name: str) -> str:
    """`kerasft.data.config` → `data.config`, `kerasft` → `kerasft/`; other packages keep their names with a mark."""
    if name == "kerasft":
        return "kerasft/"
    return name.removeprefix("kerasft.") if name.startswith("kerasft.") else f":{name}"


def room_of(name: str) -> str:
    return name.split(".")[0]


def is_schema(name: str) -> bool:
    """A section's schema, kept beside its code: `data.config`, `tasks.text_classification.config`."""
    return name.split(".")[-1] == "config" and room_of(name) != "config"


ALL_IMPORTS = [found for name in MODULES for found in read_imports(name)]
OWN_IMPORTS = [i for i in ALL_IMPORTS if not i.imported.startswith(":")]


def is_allowed(found: Import) -> bool:
    importer, imported = room_of(found.importer), room_of(found.imported)
    if importer in TOP:
        return True
    if found.imported == "kerasft/":
        return True  # `from kerasft import __version__`; see the test of it below
    if importer in APART and imported in ("errors", "files", "untrusted", "progress"):
        return True
    if importer == "cli" and imported in APART:
        return True
    if importer in APART or imported in APART or imported in TOP:
        return importer == imported
    if importer == "experiment" and is_schema(found.imported):
        return True
    if importer == "tasks" and is_schema(found.importer) and is_schema(found.imported):
        return True  # a task names the schemas of its experiments' sections
    return ROOMS.index(imported) <= ROOMS.index(importer)


def test_every_module_is_in_a_room():
    strange = [n for n in MODULES if room_of(n) not in (*ROOMS, *APART, *TOP)]
    assert not strange


def test_rooms_import_upwards_only():
    assert len(OWN_IMPORTS) > 50
    assert not [str(i) for i in OWN_IMPORTS if not is_allowed(i)]


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("data.cache", "config.base", True),
        ("data.cache", "training.fit", False),
        ("errors", "files", False),
        ("files", "errors", True),
        ("experiment", "training.config", True),
        ("experiment", "training.fit", False),
        ("tasks.config", "training.config", True),
        ("tasks.text_classification.config", "training.config", True),
        ("tasks.text_classification.task", "training.config", False),
        ("tasks.text_classification.config", "training.fit", False),
        ("training.config", "optimizers.config", True),
        ("optimizers.config", "training.config", False),
        ("data.cache", "samples", False),
        ("cli.main", "stages.pipeline", True),
        ("stages.pipeline", "cli.progress", False),
        ("stages.pipeline", "api", False),
        ("stages.pipeline", "api.run", False),
        ("api.run", "stages.pipeline", True),
    ],
)
def test_the_rule_tells_right_from_wrong(importer: str, imported: str, allowed: bool):
    assert is_allowed(Import(importer, imported, 1, True, False)) is allowed


def test_only_the_version_is_taken_from_the_package_itself():
    wrong = []
    for name, path in MODULES.items():
        for node in ast.walk(parse(path)):
            if name not in TOP and isinstance(node, ast.ImportFrom) and node.module == "kerasft":
                wrong += [
                    f"{name}:{node.lineno} {alias.name}"
                    for alias in node.names
                    if alias.name != "__version__" and alias.name not in MODULES
                ]
    assert not wrong


def test_no_task_imports_another():
    def task_of(name: str) -> str | None:
        package = ".".join(name.split(".")[:2])
        is_task = name.startswith("tasks.") and MODULES[package].name == "__init__.py"
        return package if is_task else None

    assert task_of("tasks.text_classification.config") == "tasks.text_classification"
    wrong = [
        str(i)
        for i in OWN_IMPORTS
        if task_of(i.importer) and task_of(i.imported) and task_of(i.importer) != task_of(i.imported)
    ]
    assert not wrong


def is_of_one_task(name: str) -> bool:
    return name.split(".")[0] == "tasks" and f"kerasft.{'.'.join(name.split('.')[:2])}" in TASKS.values()


def test_no_room_but_the_tasks_imports_a_task():
    assert is_of_one_task("tasks.text_classification.config")
    assert not is_of_one_task("tasks.config")
    assert not [str(i) for i in OWN_IMPORTS if is_of_one_task(i.imported) and room_of(i.importer) != "tasks"]


SAYS_A_TASKS_NAME = {
    "cli.main": "an example in the help",
    "data.sources.box_rows": "a message",
    "data.sources.conll": "a message",
    "data.sources.image_folder": "a message",
    "data.sources.parquet": "a message",
    "data.sources.tfds_columns": "a message",
    "models.fetching": "a message",
}


def test_only_messages_and_examples_say_a_tasks_name():
    found = set()
    for name, path in MODULES.items():
        tree = parse(path)
        documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documents
        ]
        if room_of(name) not in ("tasks", "samples") and any(
            task in text for text in texts for task in TASKS
        ):
            found.add(name)
    assert found <= set(SAYS_A_TASKS_NAME)


KEYS_OF_TASKS = {
    "entities",
    "probabilities",
    "predicted",
    "label",
    "labels",
    "text",
    "texts",
    "image",
    "logits",
}
"""Of examples, answers and records of kerasft's own tasks."""
SAYS_SUCH_A_KEY = {
    "cli.samples": "the name of a sample, `kerasft samples entities`",
    "config.describe": "the word for a string in messages",
    "data.config": "the name of a file format",
    "data.manifest": "fields of manifests of before",
    "data.prepare.checks": "a manifest's keys: `labels`, and the `text` of an example that is quoted",
    "data.prepare.manifest": "a manifest's key: `labels`",
    "data.prepare.steps": "a manifest's key: `labels`, and the kind of a field",
    "data.prepare.train_labels": "what a label's column is called where no field has one",
    "data.prepared": "a manifest's key: `labels`",
    "metrics.entities": "a figure's name: how many entities there are",
    "metrics.figures": "the same",
    "models.catalogue": "the two kinds of presets, `kerasft presets list text`",
    "models.image.backbones": "the name of a net's input",
    "models.image.detectors": "the same",
    "models.image.heads": "the same, and a layer's",
    "models.image.hub_resnets": "the same",
    "models.text.heads": "a layer's name",
    "plots.confusion": "an axis",
    "report.sections": "a manifest's key: `labels`",
}


def test_no_room_but_the_tasks_knows_their_keys():
    """Kinds of fields, sources and files of boxes are left out: a kind's name may be a field's, and files have keys."""
    found = {}
    for name, path in MODULES.items():
        tree = parse(path)
        documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        keys = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and id(node) not in documents and node.value in KEYS_OF_TASKS
        }
        room = name.split(".")[:2]
        if (
            keys
            and room[0] not in ("tasks", "samples", "")
            and room not in (["data", "kinds"], ["data", "sources"], ["data", "box_files"])
        ):
            found[name] = keys
    assert set(found) == set(SAYS_SUCH_A_KEY), found


def test_no_stage_but_the_pipeline_imports_another():
    def is_stage(name: str) -> bool:
        return name.startswith("stages.")

    wrong = [
        str(i)
        for i in OWN_IMPORTS
        if is_stage(i.importer)
        and is_stage(i.imported)
        and i.importer != i.imported
        and i.importer != "stages.pipeline"
    ]
    assert not wrong


def test_no_room_has_a_cycle():
    for room in (*ROOMS, *APART, "api"):
        graph: dict[str, set[str]] = {}
        for i in OWN_IMPORTS:
            if room_of(i.importer) == room_of(i.imported) == room and not i.for_types_only:
                graph.setdefault(i.importer, set()).add(i.imported)
        list(graphlib.TopologicalSorter(graph).static_order())


def is_light(name: str) -> bool:
    """What `kerasft --help` and config validation touch."""
    return (
        room_of(name) in ("errors", "config", "experiment", "cli", "", "__main__")
        or is_schema(name)
        or MODULES[name].name == "__init__.py"
    )


def test_help_and_validation_import_nothing_heavy():
    wrong = [
        str(i)
        for i in ALL_IMPORTS
        if is_light(i.importer)
        and i.at_module_level
        and not i.for_types_only
        and i.imported.removeprefix(":").split(".")[0] in HEAVY
        and i.imported.startswith(":")
    ]
    assert not wrong


def test_only_the_models_room_imports_keras_hub():
    wrong = [
        str(i)
        for i in ALL_IMPORTS
        if i.imported.split(".")[0] in (":keras_hub", ":keras_nlp") and room_of(i.importer) != "models"
    ]
    assert not wrong


def test_only_the_commands_print_or_exit():
    wrong = []
    for name, path in MODULES.items():
        if room_of(name) in ("cli", "__main__"):
            continue
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in (
                "print",
                "sys.exit",
                "exit",
                "os._exit",
            ):
                wrong.append(f"{name}:{node.lineno} {ast.unparse(node.func)}")
    assert not wrong


THREE_MISTAKES = (
    "name: x\ntask: {type: text_classification}\ndata: {}\nmodel: {preset: 1}\nseed: -1\ntrian: {}\n"
)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["--version"], 0),
        (["finetune", "--help"], 0),
        (["schema"], 0),
        (["run", "CONFIG"], 2),
        (["predict", "CONFIG", "a text"], 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else str(value),
)
def test_light_commands_load_nothing_heavy(arguments: list[str], code: int, tmp_path: Path):
    config = tmp_path / "config.yaml"
    config.write_text(THREE_MISTAKES)
    program = (
        "import json, sys\nfrom kerasft.cli.main import main\n"
        "code = main(sys.argv[1:])\nprint('\\n' + json.dumps([code, sorted({n.split('.')[0] for n in sys.modules})]))"
    )
    words = [str(config) if word == "CONFIG" else word for word in arguments]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    returned, loaded = json.loads(done.stdout.splitlines()[-1])
    assert returned == code, done.stderr
    assert "kerasft" in loaded
    assert not set(loaded) & set(HEAVY)

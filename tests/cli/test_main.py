"""The command as its users meet it: real processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import kerasft as package
from kerasft.cli.main import main

Run = Callable[..., subprocess.CompletedProcess[str]]
VERBS = [
    *("prepare", "finetune", "evaluate", "predict", "generate", "compare", "export", "run", "verify-resume"),
    *("schema", "presets"),
]
THREE_MISTAKES = """name: x
task: {type: text_classification}
data: {train: {format: csv, path: a.csv, delimitter: ";"}}
model: {preset: bert_tiny_en_uncased}
train:
  epochs: many
  optimizer: {type: adam, learning_rate: 1e-4}
"""


@pytest.fixture
def wrong_config(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.yaml"
    path.write_text(THREE_MISTAKES)
    return path


def test_help_names_every_verb_and_teaches_by_example(kerasft: Run):
    done = kerasft("--help")
    assert done.returncode == 0
    for verb in VERBS:
        assert f"\n  {verb} " in done.stdout
    assert "kerasft run sst2.yaml" in done.stdout


@pytest.mark.parametrize("verb", [*VERBS[:-1], "presets list", "presets fetch"])
def test_each_verbs_help_has_examples(verb: str, capsys: pytest.CaptureFixture[str]):
    assert main([*verb.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert f"  kerasft {verb}" in shown.partition("Examples:")[2]


def test_examples_of_help_name_options_that_exist(capsys: pytest.CaptureFixture[str]):
    for verb in [*VERBS[:-1], "presets list", "presets fetch"]:
        main([*verb.split(), "--help"])
        options, _, examples = capsys.readouterr().out.partition("Examples:")
        used = {word for word in examples.split() if word.startswith("--")}
        assert all(word in options for word in used), verb


def test_help_imports_little():
    """Every module costs about half a millisecond; a person waits for them all."""
    code = (
        "import sys; from kerasft.cli.main import main; main(['--help']); print('MODULES', len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert int(done.stdout.split("MODULES ")[1]) < 250


def test_three_mistakes_are_told_at_once(kerasft: Run, wrong_config: Path):
    done = kerasft("run", wrong_config)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        f"{wrong_config}:3: data.train.delimitter: unknown key; did you mean data.train.delimiter?",
        f'{wrong_config}:6: train.epochs: expected a whole number ≥ 1, got "many"',
        f'{wrong_config}:7: train.optimizer.type: expected one of adamw, gradient_descent, keras, muon; got "adam"; '
        "did you mean adamw?",
        "  3 mistakes; nothing was started.",
    ]


def test_python_m_and_the_script_are_the_same(wrong_config: Path, kerasft: Run):
    script = Path(sys.executable).with_name("kerasft")
    if not script.exists():
        pytest.skip("the package is not installed beside this Python")
    done = subprocess.run([script, "run", wrong_config], capture_output=True, text=True)
    module = kerasft("run", wrong_config)
    assert (done.returncode, done.stderr) == (module.returncode, module.stderr)


def test_the_version(kerasft: Run):
    assert kerasft("--version").stdout == f"kerasft {package.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "No such command"),
        (["run"], "Missing argument"),
        (["run", "x.yaml", "--frob"], "No such option"),
        (["run", "no-such-file.yaml"], "no such config file"),
        (["predict", "x.yaml", "--format", "xml"], "xml"),
    ],
)
def test_wrong_arguments_end_with_2(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 2
    assert words.lower() in capsys.readouterr().err.lower()


def test_a_traceback_can_be_asked_for_at_the_end(
    wrong_config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KERASFT_TRACEBACK", "")
    assert main(["run", str(wrong_config), "--traceback"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_options_may_stand_between_overrides(wrong_config: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["run", str(wrong_config), "seed=-1", "--quiet", "--output", "x", "train.epochs=-1"]) == 2
    shown = capsys.readouterr().err
    assert "override seed=-1: expected" in shown
    assert "override train.epochs=-1: expected" in shown


def test_the_schema_describes_the_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert schema["properties"]["seed"]["description"] == "The random seed of everything that is random."
    assert schema["$defs"]["TextClassificationExperiment"]["additionalProperties"] is False
    assert schema["$defs"]["DataConfig"]["properties"]["train"]["description"]
    assert main(["schema", "--to", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text()) == schema


def test_every_key_of_the_schema_is_described(capsys: pytest.CaptureFixture[str]):
    main(["schema"])
    schema = json.loads(capsys.readouterr().out)
    bare = [
        f"{name}.{key}"
        for name, section in {**schema["$defs"], "": schema}.items()
        for key, place in section.get("properties", {}).items()
        if "description" not in place and "const" not in place and "$ref" not in place
    ]
    assert bare == []


def test_presets_are_listed(capsys: pytest.CaptureFixture[str]):
    assert main(["presets", "list", "bert_tiny"]) == 0
    shown = capsys.readouterr().out
    assert "bert_tiny_en_uncased" in shown
    assert "bert_base_en " not in shown


def test_a_preset_that_is_not_there_ends_with_4(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["presets", "fetch", "package:no_such_package/x", "--to", str(tmp_path / "p")]) == 4
    assert capsys.readouterr().err.startswith("error: ")


def test_prepare_leaves_the_resolved_config_and_shows_no_log_lines(kerasft: Run, tmp_path: Path):
    rows = "\n".join(f"{'good' if i % 2 else 'bad'} film number {i},{i % 2}" for i in range(60))
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}\n")
    config = tmp_path / "c.yaml"
    config.write_text(
        "name: c\ntask: {type: text_classification}\n"
        "data: {train: {format: csv, path: a.csv}, near_duplicates: false}\n"
        "model: {preset: bert_tiny_en_uncased}\n"
    )
    done = kerasft("prepare", config, "seed=3", "--output", tmp_path / "run", cwd="/")
    assert done.returncode == 0, done.stderr
    assert "train" in done.stdout
    assert "Traceback" not in done.stderr
    assert "tensorflow" not in done.stderr.lower()
    again = kerasft("prepare", tmp_path / "run", "--quiet", cwd="/")
    assert again.returncode == 0, again.stderr
    written = (tmp_path / "run" / "config.yaml").read_text()
    assert "seed: 3" in written
    assert str(tmp_path / "a.csv") in written

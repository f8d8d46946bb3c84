"""A model.keras that lies: its weights alone are read, into a model built here; what else it holds is never run."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import keras_hub  # noqa: F401 (registers the classes that a saved model names)
import numpy as np
import pytest
from lying_makers import list_tree, make_lambda, run_kerasft

from kerasft.config.loading import dump_config
from kerasft.data.streams import collect_outputs
from kerasft.errors import ConfigError, PresetError
from kerasft.integrity import HASHES
from kerasft.runs.folder import RunFolder
from kerasft.tasks.base import Task
from kerasft.tasks.classifier import stack_logits
from kerasft.training.trained import build_task, load_trained, write_task

TEXTS = [{"text": text} for text in ("the film was good", "a dull meal", "", "word " * 50)]
WEIGHTS, CONFIG = "model.weights.h5", "config.json"
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def task(load_experiment: Any, tiny_preset: Path) -> Task:
    return build_task(load_experiment(), ("disliked", "liked"), tiny_preset)


@pytest.fixture(scope="module")
def published(task: Task, load_experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run folder with a model as it was before training, published."""
    run = RunFolder(tmp_path_factory.mktemp("published") / "run")
    run.path.mkdir()
    task.publish(task.build_model(seed=3, matmul_dtype="float32"), run.path)
    write_task(run, load_experiment(), task, fingerprint="f", dataset_fingerprint="d")
    dump_config(load_experiment(), run.config)
    # whoever makes a model lie makes its hashes lie too
    for folder in (run.path, run.preset):
        (folder / HASHES).unlink()
    return run


@pytest.fixture
def run(published: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(published.path, tmp_path / "run"))


def answer(task: Task, model: keras.Model) -> np.ndarray:
    return stack_logits(collect_outputs(task.make_feed(TEXTS), task.build_step(model)))


def refuse(run: RunFolder) -> PresetError:
    trained = load_trained(run)
    with pytest.raises(PresetError) as caught:
        _ = trained.model
    assert caught.value.exit_code == 4
    assert str(caught.value.where).startswith(str(run.path))
    assert caught.value.fix
    assert len(str(caught.value)) < 3000
    return caught.value


def rewrite(path: Path, changes: dict[str, bytes | None], compression: int = zipfile.ZIP_STORED) -> None:
    """Puts other members into the archive, or leaves some out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


def change_weights(path: Path, change: Callable[[h5py.File], Any]) -> None:
    weights = path.with_name("changed.h5")
    with zipfile.ZipFile(path) as archive:
        weights.write_bytes(archive.read(WEIGHTS))
    with h5py.File(weights, "r+") as file:
        change(file)
    rewrite(path, {WEIGHTS: weights.read_bytes()})
    weights.unlink()


def list_weights(path: Path) -> list[str]:
    names: list[str] = []

    def collect(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and "seed_generator" not in name:
            names.append(name)

    change_weights(path, lambda file: file.visititems(collect))
    return names


def test_the_answers_are_those_of_the_model_as_keras_opens_it(task: Task, run: RunFolder) -> None:
    built, opened = load_trained(run).model, keras.saving.load_model(run.model, compile=False)
    np.testing.assert_array_equal(answer(task, built), answer(task, opened))
    assert [v.shape for v in built.weights] == [v.shape for v in opened.weights]
    for a, b in zip(built.weights, opened.weights, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=a.path)


def hide_lambda(place: str, marker: Path) -> Callable[[dict[str, Any]], Any]:
    lie = make_lambda(marker)
    function = lie["config"]["function"]

    def change(config: dict[str, Any]) -> dict[str, Any]:
        layers = config["config"]["layers"]
        if place == "the whole model":
            return lie
        if place == "a layer more":
            layers.append(lie)
        elif place == "a layer replaced":
            layers[-1] |= {"class_name": "Lambda", "module": "keras.layers", "config": lie["config"]}
        elif place == "an activation":
            layers[-1]["config"]["activation"] = function
        else:
            backbone = next(layer for layer in layers if "Backbone" in layer["class_name"])
            backbone["config"]["dtype"] = function
        return config

    return change


PLACES = ["the whole model", "a layer more", "a layer replaced", "an activation", "the backbone's dtype"]


@pytest.mark.parametrize("place", PLACES)
def test_a_lambda_in_its_config_is_told_and_not_run(run: RunFolder, tmp_path: Path, place: str) -> None:
    marker = tmp_path / "executed"
    with zipfile.ZipFile(run.model) as archive:
        config = json.loads(archive.read(CONFIG))
    rewrite(run.model, {CONFIG: json.dumps(hide_lambda(place, marker)(config)).encode()})
    assert "config.json" in str(refuse(run))
    assert not marker.exists()


def test_another_modules_class_in_its_config_is_told_and_not_imported(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lying_module.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with zipfile.ZipFile(run.model) as archive:
        config = json.loads(archive.read(CONFIG))
    config["config"]["layers"][-1] |= {"module": "lying_module", "class_name": "Layer"}
    rewrite(run.model, {CONFIG: json.dumps(config).encode()})
    assert "names Layer of lying_module, which is not Keras'" in str(refuse(run))
    assert not (tmp_path / "executed").exists()


def test_each_weight_that_is_missing_is_noticed(run: RunFolder) -> None:
    whole = run.model.read_bytes()
    names = list_weights(run.model)
    assert len(names) == len([v for v in load_trained(run).model.weights if v.dtype == "float32"])
    for name in names[::5] + names[-2:]:
        run.model.write_bytes(whole)
        change_weights(run.model, lambda file, name=name: file.__delitem__(name))
        assert "The model cannot be loaded" in str(refuse(run)), name


def replace(name: str, value: np.ndarray) -> Change:
    def change(path: Path) -> None:
        def put(file: h5py.File) -> None:
            del file[name]
            file[name] = value

        change_weights(path, put)

    return change


def spoil(bad: float) -> Change:
    def change(path: Path) -> None:
        def put(file: h5py.File) -> None:
            file["layers/dense/vars/1"][0] = bad

        change_weights(path, put)

    return change


def link_out(path: Path) -> None:
    def put(file: h5py.File) -> None:
        del file["layers/dense/vars/1"]
        file["layers/dense/vars/1"] = h5py.ExternalLink("/etc/hostname", "/0")

    change_weights(path, put)


def make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


LIES: dict[str, tuple[Change, str]] = {
    "a bias of another shape": (replace("layers/dense/vars/1", np.zeros(3, np.float32)), "cannot be loaded"),
    "a kernel transposed": (replace("layers/dense/vars/0", np.zeros((2, 32), np.float32)), "cannot be loaded"),
    "NaN": (spoil(np.nan), "The weight logits/bias holds numbers that are not finite"),
    "Inf": (spoil(np.inf), "The weight logits/bias holds numbers that are not finite"),
    "a link out": (link_out, "cannot be loaded"),
    "no weights": (lambda path: rewrite(path, {WEIGHTS: None}), "no item named 'model.weights.h5'"),
    "no config": (lambda path: rewrite(path, {CONFIG: None}), "no item named 'config.json'"),
    "a config that is no object": (lambda path: rewrite(path, {CONFIG: b"[1]"}), "config.json"),
    "a config that is no JSON": (lambda path: rewrite(path, {CONFIG: b"{"}), "config.json"),
    "a deep config": (lambda path: rewrite(path, {CONFIG: b"[" * 100_000}), "config.json"),
    "empty weights": (lambda path: rewrite(path, {WEIGHTS: b""}), "weights file has only 0 bytes"),
    "weights cut": (lambda path: rewrite(path, {WEIGHTS: b"\x89HDF\r\n\x1a\n" + bytes(99_999)}), "cannot be loaded"),
    "a bomb": (
        lambda path: rewrite(path, {WEIGHTS: bytes(300 << 20)}, zipfile.ZIP_DEFLATED), "it may have",
    ),
    "a bomb of a config": (
        lambda path: rewrite(path, {CONFIG: b" " * (300 << 20)}, zipfile.ZIP_DEFLATED), "it may have",
    ),
    "a flipped bit": (flip, "Bad CRC-32"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-500]), "not a zip file"),
    "no archive": (lambda path: path.write_bytes(b"model"), "not a zip file"),
    "a folder": (make_folder, "it is not a file"),
}  # fmt: skip


@pytest.mark.parametrize(("lie", "words"), LIES.values(), ids=list(LIES))
def test_a_model_that_lies_is_told(run: RunFolder, lie: Change, words: str) -> None:
    lie(run.model)
    told = str(refuse(run))
    assert words in told


def test_other_members_are_not_unpacked(task: Task, run: RunFolder, tmp_path: Path) -> None:
    expected = answer(task, load_trained(run).model)
    rewrite(run.model, {"../../escaped": b"x", "/tmp/kerasft-escaped": b"x", "assets/../../escaped": b"x"})
    before = list_tree(tmp_path)
    np.testing.assert_array_equal(answer(task, load_trained(run).model), expected)
    assert list_tree(tmp_path) == before
    assert not Path("/tmp/kerasft-escaped").exists()


def test_a_head_of_other_classes_is_refused(run: RunFolder) -> None:
    facts = json.loads(run.task.read_text())
    run.task.write_text(json.dumps(facts | {"label_names": ["bad", "fair", "good"]}))
    assert "The model cannot be loaded" in str(refuse(run))


@pytest.mark.parametrize(
    "changes", [{"hidden_dim": 10**9}, {"hidden_dim": 4096}, {"num_layers": 3}, {"layers": []}]
)
def test_a_preset_that_lies_about_the_model_is_refused(run: RunFolder, changes: dict[str, Any]) -> None:
    config = json.loads((run.preset / CONFIG).read_text())
    config["config"] |= changes
    (run.preset / CONFIG).write_text(json.dumps(config))
    refuse(run)


@pytest.mark.parametrize("name", ["model.keras", "preset/assets/tokenizer/vocabulary.txt"])
def test_a_pipe_is_refused_and_not_waited_for(run: RunFolder, name: str) -> None:
    make_pipe(run.path / name)
    with pytest.raises(ConfigError, match=f"{name}: is a pipe, not a plain file"):
        load_trained(run)


@pytest.mark.slow
def test_the_command_leaves_with_4_and_runs_nothing(run: RunFolder, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    done = run_kerasft("predict", run.path, "a good film", folder=folder)
    assert done.code == 0, done
    assert json.loads(done.stdout)["label"] in ("liked", "disliked")
    with zipfile.ZipFile(run.model) as archive:
        config = json.loads(archive.read(CONFIG))
    config = hide_lambda("a layer more", tmp_path / "executed")(config)
    rewrite(run.model, {CONFIG: json.dumps(config).encode()})
    done = run_kerasft("predict", run.path, "a good film", folder=folder)
    assert done.code == 4, done
    assert "Traceback" not in done.stderr
    assert f"{run.model}: The model cannot be loaded: its config.json" in done.stderr
    assert not (tmp_path / "executed").exists()

"""A version is published whole and right, or not at all."""

from __future__ import annotations

import json
import resource
import shutil
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from publisher import start_publishing
from tolerances import TINY_BERT

from kerasft.errors import ExportError, StorageError
from kerasft.serving.publishing import compare, publish_saved_model, replay
from kerasft.tasks.answers import measure_probabilities
from kerasft.tasks.text_classification.serving import PROBES
from kerasft.text.raw import check_raw_text

LABELS = ("disliked", "zły", "好")


def list_visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def publish(module, destination, expected, texts=("a lovely film",), label_names=LABELS, tolerance=1e-5):
    return publish_saved_model(
        module,
        destination,
        [{"text": text} for text in texts],
        expected,
        probes=PROBES,
        accepts=lambda inputs: not check_raw_text(inputs["text"]),
        measure=partial(measure_probabilities, label_names=label_names),
        tolerance=tolerance,
        documents={"labels.txt": "a\n"},
    )


@contextmanager
def file_size_limit(size: int):
    """Files beyond `size` bytes cannot be written, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_published_version_tells_how_exact_it_is(published, texts):
    parity = json.loads((published / "parity.json").read_text(encoding="utf-8"))
    assert parity["user_examples"] == len(texts)
    assert parity["probes"] == len(PROBES)
    assert parity["examples"] == parity["labels_equal"] == len(texts) + len(PROBES)
    assert 0.0 <= parity["mean_difference"] <= parity["largest_difference"] <= 1e-5
    assert list(published.parent.iterdir()) == [published]


def test_a_clean_process_gives_labels_in_any_script(published, texts, expected):
    inputs = [{"text": text} for text in texts]
    answers, probabilities = replay(published, inputs), expected(inputs)
    labels = np.array(LABELS)[probabilities.argmax(1)]
    assert answers["label"].tolist() == labels.tolist()
    np.testing.assert_allclose(answers["probabilities"], probabilities, atol=TINY_BERT)


def test_an_export_that_answers_otherwise_is_refused(tmp_path, tiny_module, expected, replay_here):
    def wrong(inputs):
        return expected(inputs) + np.eye(len(inputs), 3)[::-1] * 0.01

    with pytest.raises(ExportError, match=r"differ from the model's by up to 1\.00e-02"):
        publish(tiny_module, tmp_path / "served" / "1", wrong)
    assert list((tmp_path / "served").iterdir()) == []


def test_the_slower_of_two_exports_to_one_version_is_refused(tmp_path, tiny_module, expected, replay_here):
    destination = tmp_path / "1"

    def meanwhile(inputs):
        destination.mkdir()
        (destination / "saved_model.pb").write_text("another's")
        return expected(inputs)

    with pytest.raises(ExportError, match="the destination already exists"):
        publish(tiny_module, destination, meanwhile)
    assert (destination / "saved_model.pb").read_text() == "another's"
    assert list(tmp_path.iterdir()) == [destination]


def test_an_export_that_names_other_labels_is_refused(tmp_path, tiny_module, expected, replay_here):
    with pytest.raises(ExportError, match="labels do not match its probabilities"):
        publish(tiny_module, tmp_path / "1", expected, label_names=LABELS[::-1])
    assert list(tmp_path.iterdir()) == []


def test_answers_that_are_not_numbers_are_refused(tmp_path, tiny_module, expected, replay_here):
    with pytest.raises(ExportError, match="nan"):
        publish(tiny_module, tmp_path / "1", lambda inputs: expected(inputs) * np.nan)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["folder", "file", "link to nowhere"])
def test_what_is_there_already_stays(tmp_path, tiny_module, expected, what):
    destination = tmp_path / "1"
    if what == "folder":
        destination.mkdir()
    elif what == "file":
        destination.write_text("mine")
    else:
        destination.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ExportError, match="the destination already exists"):
        publish(tiny_module, destination, expected)
    assert list(tmp_path.iterdir()) == [destination]


def test_a_place_that_cannot_be_written_is_told(tmp_path, tiny_module, expected):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=r"file: cannot be written: Not a directory"):
        publish(tiny_module, tmp_path / "file" / "1", expected)


@pytest.mark.parametrize("limit", [2_000, 40_000])
def test_a_disk_that_is_full_leaves_older_versions_alone(tmp_path, tiny_module, expected, published, limit):
    shutil.copytree(published, tmp_path / "1")
    with (
        file_size_limit(limit),
        pytest.raises(StorageError, match=r"/2[^.]*: cannot be written: File too large"),
    ):
        publish(tiny_module, tmp_path / "2", expected)
    assert list(tmp_path.iterdir()) == [tmp_path / "1"]
    assert list_visible(tmp_path / "1") == list_visible(published)


def test_an_interrupted_export_leaves_nothing(tmp_path, tiny_module, expected):
    class Interrupted:
        @property
        def signatures(self):
            assert len(list(tmp_path.iterdir())) == 1
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        publish(Interrupted(), tmp_path / "1", expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_damaged_export_cannot_be_served(tmp_path, published):
    shutil.copytree(published, tmp_path / "1")
    variables = tmp_path / "1" / "variables" / "variables.data-00000-of-00001"
    variables.write_bytes(variables.read_bytes()[:1000])
    with pytest.raises(ExportError, match="a clean process cannot run the export"):
        replay(tmp_path / "1", [{"text": "a lovely film"}])


def test_a_comparison_names_the_worst_example():
    expected = np.array([[0.5, 0.5], [0.9, 0.1], [0.4, 0.6]])
    answers = {
        "probabilities": (expected + np.array([[0, 0], [-0.2, 0.2], [0.11, -0.11]])).astype(np.float32),
        "tensorflow": np.array("2.21.0"),
    }
    parity = compare(answers, expected, 1e-4, measure_probabilities)
    assert parity["worst_example"] == 1
    assert parity["largest_difference"] == pytest.approx(0.2)
    assert parity["mean_difference"] == pytest.approx(0.31 / 3)
    assert parity["labels_equal"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment",
    [".2.*", ".2.*/variables/*", ".2.*/saved_model.pb", ".2.*/parity.json", ".2.*/assets.extra/*", "2"],
)
def test_a_killed_export_shows_no_part_of_a_version(tmp_path, published, moment):
    shutil.copytree(published, tmp_path / "1")
    process = start_publishing(tmp_path / "2", tmp_path / ".log")
    try:
        while process.is_alive() and not any(tmp_path.glob(moment)):
            time.sleep(0.0005)
    finally:
        process.kill()
        process.join()
    visible = list_visible(tmp_path)
    if visible == ["1"]:
        again = start_publishing(tmp_path / "2", tmp_path / ".log")
        again.join()
        assert again.exitcode == 0
    assert list_visible(tmp_path) == ["1", "2"]
    assert replay(tmp_path / "2", [{"text": "x"}])["label"].tolist() == ["a"]
    assert (tmp_path / "2" / "parity.json").exists()
    assert (tmp_path / "2" / "assets.extra" / "labels.txt").exists()


@pytest.mark.slow
def test_of_two_exports_at_once_one_is_published(tmp_path):
    served = tmp_path / "served"
    logs = [tmp_path / "one.log", tmp_path / "other.log"]
    processes = [start_publishing(served / "1", log) for log in logs]
    for process in processes:
        process.join()
    assert sorted(process.exitcode for process in processes) == [0, 1]
    (loser,) = [log for process, log in zip(processes, logs, strict=True) if process.exitcode]
    assert "the destination already exists" in loser.read_text()
    assert [path.name for path in served.iterdir()] == ["1"]
    assert replay(served / "1", [{"text": "x"}])["label"].tolist() == ["a"]

"""export: a version is whole and right, or absent."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tolerances import TINY_BERT

from kerasft.data.streams import collect_outputs
from kerasft.errors import ExportError
from kerasft.runs.folder import RunFolder
from kerasft.serving.publishing import publish_saved_model, replay
from kerasft.stages.export import _next_version, export, sample_inputs
from kerasft.tasks.answers import measure_probabilities
from kerasft.tasks.classifier import stack_logits
from kerasft.tasks.text_classification.serving import PROBES
from kerasft.training.trained import load_trained

INPUTS = [{"text": "a good film"}, {"text": "the soup was cold"}]


@pytest.fixture(scope="module")
def trained(tiny_run):
    return load_trained(tiny_run)


def publish(trained, destination: Path, expected) -> dict:
    return publish_saved_model(
        trained.task.serve(trained.model).module,
        destination,
        INPUTS,
        expected,
        measure=measure_probabilities,
        tolerance=1e-4,
        documents={"labels.txt": "x\n"},
    )


def test_a_model_that_changed_in_between_is_not_published(trained, tmp_path: Path, replay_here) -> None:
    other = trained.task.load_published(trained.run.path)
    bias = other.get_layer("logits").bias
    bias.assign(bias.numpy() + np.float32([0.02, 0.0]))
    step = trained.task.build_step(other)

    def expected(inputs):
        feed = trained.task.make_feed(inputs)
        return trained.task.probabilities(stack_logits(collect_outputs(feed, step)))

    with pytest.raises(ExportError, match="differ from the model's by up to") as caught:
        publish(trained, tmp_path / "served" / "1", expected)
    assert "nothing was published" in caught.value.what
    assert list((tmp_path / "served").iterdir()) == []


def test_probabilities_that_are_not_numbers_are_not_published(trained, tmp_path: Path, replay_here) -> None:
    with pytest.raises(ExportError, match="differ"):
        publish(trained, tmp_path / "1", lambda inputs: np.full((len(inputs), 2), np.nan))
    assert list(tmp_path.iterdir()) == []


def test_what_stands_there_is_not_overwritten(trained, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with pytest.raises(ExportError, match="already exists"):
        publish(trained, tmp_path / "1", lambda inputs: None)


def test_a_version_that_no_process_can_load_is_told(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"no graph")
    with pytest.raises(ExportError, match="a clean process cannot run the export"):
        replay(tmp_path / "1", INPUTS)


def test_a_version_holds_the_model_its_labels_its_card_and_the_proof(tiny_run) -> None:
    version = tiny_run.export / "1"
    assert (version / "assets.extra" / "labels.txt").read_text() == "disliked\nliked\n"
    card = (version / "assets.extra" / "model_card.md").read_text()
    for text in ("# tiny", "`disliked`, `liked`", "32 tokens", "| accuracy |", "tensorflow "):
        assert text in card, text
    parity = json.loads((version / "parity.json").read_text())
    assert parity["user_examples"] == 8
    assert parity["examples"] == 8 + len(PROBES) == 8 + parity["probes"]
    assert parity["largest_difference"] <= parity["tolerance"] == 1e-4
    assert parity["labels_equal"] == parity["examples"]
    assert parity["tensorflow"] == tf.__version__


def test_the_signature_takes_strings_and_any_number_of_them(tiny_run) -> None:
    serve = tf.saved_model.load(str(tiny_run.export / "1")).signatures["serving_default"]
    assert set(serve.structured_outputs) == {"label", "probabilities", "logits", "status"}
    (spec,) = serve.structured_input_signature[1].values()
    assert (spec.dtype, spec.shape.as_list()) == (tf.string, [None])
    one = serve(text=tf.constant(["a good film"]))
    many = serve(text=tf.constant(["a good film"] * 3 + ["a dull , cold and very bad story again and again"]))
    np.testing.assert_allclose(many["logits"][:3], np.repeat(one["logits"], 3, 0), atol=TINY_BERT)
    np.testing.assert_allclose(tf.reduce_sum(many["probabilities"], 1), 1, atol=1e-6)
    none = serve(text=tf.constant([], tf.string))
    assert none["logits"].shape == (0, 2)
    broken = serve(text=tf.constant([b"good \xff\xfe film"]))
    assert np.isfinite(broken["logits"]).all()


def test_versions_are_counted_on(tmp_path: Path) -> None:
    assert _next_version(tmp_path / "none") == 1
    for name in ("1", "9", "10", ".11.abc.tmp", "latest"):
        (tmp_path / name).mkdir()
    assert _next_version(tmp_path) == 11


def test_an_export_goes_where_it_is_told_and_is_another_version_by_default(
    tiny_run, tmp_path: Path, load_experiment, replay_here
) -> None:
    run = RunFolder(shutil.copytree(tiny_run.path, tmp_path / "run"))
    assert export(load_experiment(), run) == run.export / "2"
    assert run.stage_record("export")["version"] == "2"
    assert sorted(path.name for path in run.export.iterdir()) == ["1", "2"]


def test_replayed_texts_are_from_all_over_the_split_seen_least(tiny_run) -> None:
    from kerasft.data.prepared import load_prepared_dataset

    dataset = load_prepared_dataset(tiny_run.dataset)
    split = dataset.split("test")
    inputs = [{"text": split[index]["text"]} for index in range(24)]

    def ask(example) -> dict[str, str]:
        return {"text": example["text"]}

    assert sample_inputs(dataset, ask, 3) == [inputs[0], inputs[11], inputs[23]]
    assert sample_inputs(dataset, ask, 500) == inputs


def test_labels_in_another_order_are_not_published(trained, tmp_path: Path, replay_here) -> None:
    def expected(inputs):
        return trained.task.probabilities(stack_logits(trained.answer(inputs)))

    with pytest.raises(ExportError, match="labels do not match"):
        publish_saved_model(
            trained.task.serve(trained.model).module,
            tmp_path / "1",
            INPUTS,
            expected,
            measure=partial(measure_probabilities, label_names=trained.task.label_names[::-1]),
            tolerance=1e-4,
            documents={},
        )
    assert not (tmp_path / "1").exists()

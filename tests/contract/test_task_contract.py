"""What every task must satisfy, on a tiny backbone: learns, saves, exports, reloads, answers the same in all forms.

A task comes into this suite by a line in `TASKS` and one in `EXPERIMENTS`; what it can be told otherwise, by one in
`VARIANTS`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from old_releases import list_flat_gathers, list_strange_objects
from tolerances import rounding

from kerasft.config.loading import load_config
from kerasft.data.feed import BatchMoment, Feed, Output
from kerasft.data.prepared import Split, load_prepared_dataset
from kerasft.data.streams import collect_outputs, make_stream
from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Silent
from kerasft.serving.config import ExportConfig
from kerasft.serving.publishing import replay
from kerasft.tasks import TASKS, load_task_class
from kerasft.tasks.base import Task
from kerasft.tasks.served import Served
from kerasft.training.trained import Trained, build_task, load_trained, open_feed

EXPERIMENTS = {
    "text_classification": "tiny_run",
    "token_classification": "tiny_entity_run",
    "image_classification": "tiny_image_run",
    "object_detection": "tiny_box_run",
    "masked_lm": "tiny_masked_run",
    "masked_lm, new net": "tiny_new_masked_run",
    "causal_lm": "tiny_causal_run",
    "causal_lm, completions": "tiny_completion_run",
    "text_classification, DistilBERT": "tiny_distilbert_run",
    "text_classification, RoBERTa": "tiny_roberta_run",
    "masked_lm, RoBERTa": "tiny_masked_roberta_run",
    "masked_lm, XLM-RoBERTa": "tiny_masked_xlm_roberta_run",
    "token_classification, DistilBERT": "tiny_distilbert_entity_run",
}
"""A task, and a variant of it behind a comma → the fixture that gives a run folder of it, all stages done."""

ONE, TWO, NO_EXPORT = "train.epochs=1", "train.epochs=2", "export=null"
VARIANTS = {
    "text_classification, no validation split": (
        "load_experiment",
        "data.validation=null",
        "data.validation_share=0",
    ),
    "text_classification, no test split": ("load_experiment", "data.test=null", "data.test_share=0", ONE),
    "text_classification, head only": ("load_experiment", "model.adaptation=head", ONE, NO_EXPORT),
    "text_classification, LoRA": ("load_experiment", "model.adaptation=lora", ONE, NO_EXPORT),
    "text_classification, gradual": ("load_experiment", "model.adaptation=gradual", TWO, NO_EXPORT),
    "token_classification, free decoding": ("load_entity_experiment", "task.constrained=false"),
    "image_classification, several labels": ("load_spot_experiment", NO_EXPORT),
    "object_detection, finer cells and no quality": (
        "load_box_experiment",
        "model.stride=4",
        "model.quality=false",
        "model.image_size_px=64",
        "task.threshold=0.2",
    ),
    "causal_lm, LoRA on conversations": ("load_chat_experiment", "model.adaptation=lora"),
}
"""A variant of a task → the fixture that loads an experiment, and what is overridden in it.

However a net was adapted, what is published is a net of one shape: its export is not tried again. (That of
several labels is, in tests/tasks/image_classification/.)
"""

SUMS = {
    "text_classification": 16,
    "token_classification": 16,
    "image_classification": 54,
    "object_detection": 80,
    "masked_lm": 18,
    "causal_lm": 18,
}
"""How many sums follow one another from input to logits: BERT of 2 layers has 7 a layer, MobileNet 27 convolutions,
each with its normalisation, and a detector stands on it with a dozen more."""


RATES = {"causal_lm": 1e-2}
"""The learning rate at which a whole net learns one batch, where that is not 3e-4: of every token of a text, say."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test is of all keys of both tables, as far as it asks for what they are variants of.

    A task's variants are slow, the task itself is not.
    """
    if "trained" not in metafunc.fixturenames:
        return
    keys = [*EXPERIMENTS, *VARIANTS]
    if "version" in metafunc.fixturenames:
        keys = [key for key in keys if NO_EXPORT not in VARIANTS.get(key, ())]
    if metafunc.function is test_it_overfits_one_batch:
        keys = [key for key in keys if not key.endswith(" split")]  # these learn as the task does
    marked = [pytest.param(key, marks=pytest.mark.slow) if "," in key else key for key in keys]
    metafunc.parametrize("trained", marked, indirect=True, scope="module")


@pytest.fixture(scope="module")
def trained(request: pytest.FixtureRequest, run_once: Callable[[str, Any], Any]) -> Trained:
    if request.param in EXPERIMENTS:
        return load_trained(request.getfixturevalue(EXPERIMENTS[request.param]))
    loader, *overrides = VARIANTS[request.param]
    name = re.sub(r"\W+", "-", request.param)
    return load_trained(run_once(name, request.getfixturevalue(loader)(*overrides)))


@pytest.fixture(scope="module")
def split(trained: Trained) -> Split:
    """The test split; where there is none, what is cut off for validation."""
    dataset = load_prepared_dataset(trained.run.dataset)
    return dataset.split("test" if "test" in dataset.splits else "validation")


@pytest.fixture(scope="module")
def examples(split: Split) -> list[dict[str, Any]]:
    """Its examples, raw."""
    return split.take(np.arange(len(split)))


@pytest.fixture(scope="module")
def feed(trained: Trained, split: Split, tmp_path_factory: pytest.TempPathFactory) -> Feed:
    """Its examples, as the model takes them."""
    dataset = load_prepared_dataset(trained.run.dataset)
    return open_feed(trained.task, dataset, split.name, tmp_path_factory.mktemp("cache"), Silent())


@pytest.fixture(scope="module")
def outputs(trained: Trained, examples) -> list[Output]:
    """Of the published model."""
    return trained.answer(examples)


@pytest.fixture(scope="module")
def served(trained: Trained) -> Served:
    """What is exported."""
    return trained.task.serve(trained.model)


@pytest.fixture(scope="module")
def version(trained: Trained) -> Path:
    """The export."""
    return next(path for path in trained.run.export.iterdir() if path.name == "1")


@pytest.fixture(scope="module")
def questions(trained: Trained, examples) -> list[dict[str, Any]]:
    """What the export is asked about the test split."""
    return [trained.task.make_question(example) for example in examples]


@pytest.fixture(scope="module")
def answers(trained: Trained, served: Served, questions, version: Path) -> dict[str, np.ndarray]:
    """Of the export, in a clean process: to the questions, and then to the probes."""
    return replay(version, [*questions, *served.probes])


@pytest.fixture(scope="module")
def other(trained: Trained, examples) -> tuple[Any, list[Output]]:
    """A model of the same task whose head has learned nothing, and its answers; to be read only."""
    model = trained.task.build_model(seed=3, matmul_dtype="float32")
    depths = trained.task.compute_depths(model)
    keras.utils.set_random_seed(3)
    for variable in model.trainable_variables:
        if depths[variable.path] == max(depths.values()):
            variable.assign(keras.random.normal(variable.shape, stddev=0.5))
    return model, answer(trained.task, model, examples)


def list_arrays(output: Output) -> list[np.ndarray]:
    """An output's arrays, in one order; boxes in thousands of pixels, as an export's are compared."""
    if isinstance(output, dict):
        return [
            np.asarray(part) / 1000 if name == "boxes" else np.asarray(part) for name, part in output.items()
        ]
    return list(map(np.asarray, output))


def allow(trained: Trained, outputs: list[Output]) -> float:
    """What two computations of these outputs (other batches, another graph) may differ by.

    No sum has more than 256 terms.
    """
    values = [
        np.abs(part[np.isfinite(part)])
        for output in outputs
        for part in list_arrays(output)
        if part.dtype.kind == "f"
    ]
    scale = max(1.0, *(float(value.max(initial=0.0)) for value in values))
    return rounding("float32", terms=256, layers=SUMS[trained.facts["task"]["type"]], scale=scale)


def assert_alike(one: list[Output], other: list[Output], atol: float) -> None:
    """Outputs of the same examples."""
    assert len(one) == len(other)
    for mine, theirs in zip(one, other, strict=True):
        if isinstance(mine, dict) and "boxes" in mine:
            settled = find_settled(mine["scores"], atol)
            mine, theirs = (
                {**said, **{name: said[name][settled] for name in ("boxes", "labels")}}
                for said in (mine, theirs)
            )
        for part, counterpart in zip(list_arrays(mine), list_arrays(theirs), strict=True):
            np.testing.assert_allclose(part, counterpart, atol=atol)


def find_settled(scores: np.ndarray, atol: float) -> np.ndarray:
    """Of boxes in the order of their scores, those whose place in it no rounding changes."""
    gaps = np.abs(np.diff(scores.astype(np.float64), prepend=2.0, append=-1.0)) > 2 * atol
    return gaps[:-1] & gaps[1:]


def answer(task: Task, model: Any, examples: list[dict[str, Any]], batch_size: int = 64) -> list[Output]:
    return collect_outputs(task.make_feed(examples), task.build_step(model), batch_size)


def test_every_task_is_in_this_suite() -> None:
    assert {key for key in EXPERIMENTS if "," not in key} == set(TASKS)
    assert {key.split(",")[0] for key in [*EXPERIMENTS, *VARIANTS]} == set(TASKS)
    for name in TASKS:
        assert issubclass(load_task_class(name), Task)


def test_a_batch_is_as_its_signature_says_and_as_the_model_takes_it(trained: Trained, feed: Feed) -> None:
    batch = make_stream(feed, 5, shuffle=False).batch(0)
    assert set(batch) == set(feed.signature)
    for name, spec in feed.signature.items():
        assert batch[name].dtype == spec.dtype.as_numpy_dtype
        assert spec.shape.is_compatible_with(batch[name].shape)
    inputs, labels = feed.unpack({name: tf.constant(array) for name, array in batch.items()})
    assert len(labels) == 5
    taken = {name: inputs[name] for name in trained.model.input} if isinstance(inputs, dict) else inputs
    shape = trained.model(taken, training=False).shape
    assert tf.TensorShape((5, *trained.model.output_shape[1:])).is_compatible_with(shape)


def test_a_batch_follows_from_rows_and_moment_alone(feed: Feed) -> None:
    rows, width = np.arange(4), int(feed.lengths[:4].max())
    first = feed.collate(rows, width, BatchMoment(1, 2))
    feed.collate(rows[::-1], width, BatchMoment(0, 0))
    again = feed.collate(rows, width, BatchMoment(1, 2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])


def test_references_stand_in_the_splits_order(trained: Trained, examples, feed: Feed) -> None:
    assert [feed.find_example(0), feed.find_example(len(feed) - 1)] == [0, len(examples) - 1]
    references = [feed.get_reference(number) for number in range(len(examples))]
    stream = make_stream(feed, 5, shuffle=True, seed=3)
    for rows, (_, labels) in zip(stream.plan.batches, stream.dataset(), strict=True):
        for row, label in zip(rows, labels.numpy(), strict=True):
            reference = references[feed.find_example(int(row))]
            if hasattr(reference, "tags"):
                gold, found = reference.tags.tolist(), label[label >= 0].tolist()
                assert any(gold[start : start + len(found)] == found for start in range(len(gold)))
            elif hasattr(reference, "crowd"):
                assert label[label[:, 5] > 0][:, 4].tolist() == reference.labels.tolist()
            elif hasattr(reference, "tokens"):
                assert 0 < np.count_nonzero(label >= 0) <= reference.tokens
            else:
                told = label.argmax(-1) if np.ndim(label) > np.ndim(reference) else label
                np.testing.assert_array_equal(told, reference)


def test_it_overfits_one_batch(trained: Trained, feed: Feed, tmp_path) -> None:
    """In the phases of its training, from what it began with and not from what was learned."""
    dataset = load_prepared_dataset(trained.run.dataset)
    config = load_config(ExperimentConfig, trained.run.path).config
    start = trained.run.start if config.model.starts_from_data else config.model.resolve().path
    task = build_task(config, trained.task.label_names, start)
    keras.utils.set_random_seed(0)
    model = task.build_model(seed=0, matmul_dtype="float32")

    def open_split(name: str) -> Feed | None:
        return open_feed(task, dataset, name, tmp_path, Silent()) if name in dataset.splits else None

    *_, phase = task.open_phases(model, config.train, open_split, seed=0)
    assert phase.final
    # a head alone learns on kept features, and has farther to go
    whole_rate = RATES.get(config.task.type, 3e-4)
    taken, rate = (feed, whole_rate) if phase.model is phase.whole_model else (phase.train, 1e-2)
    # on a batch that does not change there is nothing to adapt to but its own statistics
    phase.model.compile(keras.optimizers.Adam(rate), task.loss(), metrics=task.metrics(), jit_compile=False)
    inputs, labels = next(iter(make_stream(taken, 8, shuffle=True).dataset()))
    if isinstance(phase.model.input, dict):  # where pictures lie is for their answers alone
        inputs = {name: inputs[name] for name in phase.model.input}
    first = phase.model.evaluate(inputs, labels, verbose=0, return_dict=True)
    phase.model.fit(tf.data.Dataset.from_tensors((inputs, labels)).repeat(200), verbose=0)
    last = phase.model.evaluate(inputs, labels, verbose=0, return_dict=True)
    (accuracy,) = (name for name in last if name.endswith("accuracy"))
    assert last[accuracy] >= find_reach(inputs, labels.numpy())
    assert last["loss"] < 0.5 * first["loss"]


def find_reach(inputs: Any, labels: np.ndarray) -> float:
    """The share of a batch's labels that can be told: all, unless a token is told from those before it in its text
    alone, after which several may follow."""
    if not isinstance(inputs, dict) or "text_ids" not in inputs:
        return 1.0
    told: dict[tuple[int, ...], Counter[int]] = {}
    columns = (inputs[name].numpy() for name in ("token_ids", "text_ids"))
    for tokens, texts, targets in zip(*columns, labels, strict=True):
        for place in np.flatnonzero(targets >= 0):
            before = tokens[: place + 1][texts[: place + 1] == texts[place]]
            told.setdefault(tuple(before.tolist()), Counter())[int(targets[place])] += 1
    best = sum(max(counts.values()) for counts in told.values())
    return best / sum(counts.total() for counts in told.values())


def test_depths_cover_the_model_from_0_up(trained: Trained, other) -> None:
    model, _ = other
    depths = trained.task.compute_depths(model)
    assert {variable.path for variable in model.trainable_variables} <= set(depths)
    assert sorted(set(depths.values())) == list(range(max(depths.values()) + 1))


@pytest.mark.numerical
def test_answers_do_not_depend_on_batches(trained: Trained, examples, outputs) -> None:
    for batch_size in (1, 7):
        assert_alike(trained.answer(examples, batch_size), outputs, atol=allow(trained, outputs))
    assert trained.answer([]) == []


@pytest.mark.numerical
def test_the_prepared_way_answers_as_the_raw_one(trained: Trained, feed: Feed, outputs) -> None:
    assert_alike(collect_outputs(feed, trained.step, 5), outputs, atol=allow(trained, outputs))


def test_published_and_found_again_it_answers_the_same(
    trained: Trained, examples, outputs, other, tmp_path
) -> None:
    task = trained.task
    model, expected = other
    with pytest.raises(AssertionError):
        assert_alike(expected, outputs, atol=allow(trained, outputs))
    task.publish(model, tmp_path)
    found = task.load_published(tmp_path)
    assert_alike(answer(task, found, examples), expected, atol=allow(trained, expected))
    # the preset that was written beside it feeds another training
    again = build_task_on(trained, tmp_path / "preset").build_model(seed=3, matmul_dtype="float32")
    depths = task.compute_depths(model)
    head = {path for path, depth in depths.items() if depth == max(depths.values())}
    compared = 0
    for a, b in zip(again.trainable_variables, model.trainable_variables, strict=True):
        if b.path not in head:
            np.testing.assert_array_equal(a, b, err_msg=b.path)
            compared += 1
    assert compared > 10


def build_task_on(trained: Trained, preset) -> Task:
    config = load_config(ExperimentConfig, trained.run.path).config
    return build_task(config, trained.facts["label_names"], preset)


@pytest.mark.numerical
def test_the_export_answers_the_same_in_a_clean_process(
    trained: Trained, questions, served: Served, answers
) -> None:
    task, probes = trained.task, served.probes
    assert len(probes) >= 5
    read = [task.read_served(question) for question in questions]
    for probe, status in zip(probes, answers["status"][len(questions) :], strict=True):
        if status:
            with pytest.raises(DataError):
                task.read_served(probe)
        else:
            read.append(task.read_served(probe))
    assert len(questions) < len(read) < len(questions) + len(probes)
    expected = trained.answer(read)
    good = answers["status"] == ""
    sound = {name: values[good] if values.ndim else values for name, values in answers.items()}
    differences, equal = served.measure(sound, expected)
    assert differences.shape == equal.shape == (len(expected),)
    # probabilities move by half of what logits do, at most
    assert differences.max() < allow(trained, expected) / 2
    assert equal.all()


def test_the_export_holds_nothing_that_old_releases_refuse(version: Path) -> None:
    assert list_strange_objects(version) == set()
    assert list_flat_gathers(version) == []


def test_answers_that_differ_are_measured_as_different(
    trained: Trained, questions, served: Served, answers, other
) -> None:
    answers = {name: values[: len(questions)] for name, values in answers.items() if values.ndim}
    read = [trained.task.read_served(question) for question in questions]
    differences, _ = served.measure(answers, answer(trained.task, other[0], read))
    assert differences.max() > 10 * ExportConfig().tolerance


def test_what_is_said_of_the_export_is_so(trained: Trained, served: Served) -> None:
    inputs = {field.name for field in trained.task.config.inputs}
    signature = served.module.signatures["serving_default"].get_concrete_function()
    assert {spec.name for spec in signature.structured_input_signature[0]} == inputs
    assert all(set(probe) == inputs for probe in served.probes)
    assert all(f"`{name}`" in served.takes for name in inputs)
    named = [name for line in served.returns for name in re.findall("`(.+?)`", line.partition(":")[0])]
    assert sorted(named) == sorted(signature.structured_outputs)
    assert all(line.startswith("- ") for line in served.returns)
    labels = "".join(f"{name}\n" for name in trained.task.label_names)
    assert served.files == ({"labels.txt": labels} if labels else {})


def test_what_is_decoded_is_json(trained: Trained, examples, outputs) -> None:
    decoded = trained.task.decode(outputs)
    assert len(decoded) == len(outputs)
    assert json.loads(json.dumps(decoded, allow_nan=False)) == decoded
    told = [trained.task.record(*pair) for pair in zip(examples, decoded, strict=True)]
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert trained.task.decode(outputs[:0]) == []


def test_labels_are_the_likeliest_and_probabilities_sum_up(trained: Trained, outputs) -> None:
    if not isinstance(outputs[0], dict) or "logits" not in outputs[0]:
        pytest.skip("neither entities nor single words have such probabilities")
    names = trained.task.label_names
    for row, output in zip(trained.task.decode(outputs), outputs, strict=True):
        if "labels" in row:
            assert row["labels"] == [name for name in names if row["probabilities"][name] >= 0.5]
            continue
        assert row["label"] == trained.task.label_names[int(output["logits"].argmax())]
        assert tuple(row["probabilities"]) == trained.task.label_names
        assert sum(row["probabilities"].values()) == pytest.approx(1.0)


def measure(task: Task, outputs: list[Output], references: list[Any]) -> dict[str, Any]:
    tally = task.open_tally()
    tally.add(range(len(outputs)), outputs, references)
    return tally.compute_figures()


def test_figures_follow_from_the_examples_and_not_from_how_they_were_added(
    trained: Trained, feed: Feed, outputs
) -> None:
    task, numbers = trained.task, np.random.default_rng(0).permutation(len(outputs)).tolist()
    references = [feed.get_reference(number) for number in range(len(outputs))]
    tally, other = task.open_tally(), task.open_tally()
    for number in numbers[:5]:
        tally.add([number], [outputs[number]], [references[number]])
    rest = numbers[5:]
    other.add(rest, [outputs[number] for number in rest], [references[number] for number in rest])
    tally.merge(other)
    assert len(tally) == len(outputs)
    whole = task.open_tally()
    whole.add(range(len(outputs)), outputs, references)
    for told in ({}, {"bootstrap_samples": 20, "seed": 3}):
        assert tally.compute_figures(**told) == whole.compute_figures(**told)


def test_every_figure_that_an_epoch_can_be_chosen_by_is_computed(
    trained: Trained, feed: Feed, outputs
) -> None:
    task, kinds = trained.task, trained.task.config.figure_kinds
    references = [feed.get_reference(number) for number in range(len(outputs))]
    right = [task.make_right_output(reference) for reference in references]
    measured, best = (
        {
            name: figure["value"]
            for name, figure in measure(task, answers, references).items()
            if name in kinds.names
        }
        for answers in (outputs, right)
    )
    assert set(measured) <= set(best) == set(kinds.names)
    # which way is better is known of each; where entities stand is no part of what they are answered from
    for name, value in measured.items():
        if not kinds.higher_is_better(name):
            assert best[name] <= value + 1e-2, name
        elif isinstance(outputs[0], dict):
            assert best[name] >= value - 1e-6, name

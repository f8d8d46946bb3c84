"""finetune: trains a pre-trained net on the prepared dataset, resuming from a checkpoint if there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint
from kerasft.models.sources import ModelSource
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import BEGINNING, RunFolder
from kerasft.runs.stage import Stage
from kerasft.training.budget import SETTLED, needs_probe, take_up_budget
from kerasft.training.identity import describe_identity

if TYPE_CHECKING:
    from kerasft.data.feed import Feed
    from kerasft.tasks.base import Task

_UNIMPORTANT = ("checkpoint", "tensorboard", "workers")
"""Of the `train` section: what a trained model does not depend on."""
_LENGTH = ("epochs", "validate_every_steps")
"""What is settled in it for a new net."""


def compute_finetune_fingerprint(
    config: ExperimentConfig, dataset: PreparedDataset, source: ModelSource
) -> str:
    """Changes when the trained model could."""
    unimportant = {*_UNIMPORTANT}
    sections = [config.task.model_dump(mode="json"), config.model.model_dump(mode="json")]
    if config.train.budget_minutes is not None:
        unimportant |= {*SETTLED}  # they follow from the budget, once it is measured
    sections.append(config.train.model_dump(mode="json", exclude=unimportant))
    sections.extend({name: own.model_dump(mode="json")} for name, own in config.own_sections.items())
    return compute_fingerprint([dataset.fingerprint, config.seed, sections, source.fingerprint])


def compute_beginning_fingerprint(
    config: ExperimentConfig, dataset: PreparedDataset, source: ModelSource
) -> str:
    """Changes when another training is begun, however long the two are.

    The config as it was given and the run's own config.yaml, in which the length is settled, have the same.
    """
    length = {*SETTLED, *_LENGTH, "budget_minutes"}
    train = config.train.model_dump(mode="json", exclude={*_UNIMPORTANT, *length})
    own = {name: section.model_dump(mode="json") for name, section in config.own_sections.items()}
    sections = [config.task.model_dump(mode="json"), config.model.model_dump(mode="json"), train, own]
    return compute_fingerprint([dataset.fingerprint, config.seed, sections, source.fingerprint])


def take_up_epochs(
    config: ExperimentConfig, run: RunFolder, dataset: PreparedDataset, source: ModelSource
) -> ExperimentConfig:
    """A config that leaves the epochs of a new net open, with what was settled when its run began.

    Args:
        config: the experiment.
        run: where it stands.
        dataset: what it learns from.
        source: what it begins with.
    """
    record = run.stage_record(BEGINNING)
    settled = record.get("train")
    if config.train.epochs is not None or needs_probe(config.train) or not settled:
        return config
    if record.get("fingerprint") != compute_beginning_fingerprint(config, dataset, source):
        return config
    given = {name for name in settled if getattr(config.train, name) is not None}
    missing = {name: value for name, value in settled.items() if name in _LENGTH and name not in given}
    return config.model_copy(update={"train": config.train.model_copy(update=missing)})


def finetune(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
    *,
    restart: bool = False,
) -> None:
    """Trains, keeps the best epoch, and writes `model.keras`, `preset/` and figures.

    A training that was cut off goes on from its newest checkpoint; one that is finished and unchanged is left alone.

    Args:
        config: the experiment.
        run: where it stands.
        progress: where to report.
        restart: removes the folder's training and starts over.

    Raises:
        ConfigError: the folder holds a run that began with another config, data or vocabulary.
        DataError: nothing is prepared, there is no training split, or no checkpoint can be used.
        PresetError: the preset cannot be had or used.
        TrainingError: the loss was not finite; the last good weights are kept first.
        Terminated: SIGTERM; a checkpoint was written first.
        KeyboardInterrupt: what there was is kept first.
    """
    dataset = load_prepared_dataset(run.dataset)
    source = ModelSource(run.start) if config.model.starts_from_data else config.model.resolve()
    open_stage(config, run, progress, dataset, source, restart=restart).complete(run)


def open_stage(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress,
    dataset: PreparedDataset,
    source: ModelSource,
    *,
    restart: bool,
) -> Stage[Path]:
    """The stage, of which comes the model's file.

    Raises:
        DataError: there is no training split.
    """
    started = time.perf_counter()
    if "train" not in dataset.splits:
        raise DataError("there is no training split", where="data.train", fix="Name training files.")
    if not restart:
        config = take_up_epochs(config, run, dataset, source)
    fingerprint = compute_finetune_fingerprint(config, dataset, source)

    def train() -> Path:
        _train(config, run, dataset, source, fingerprint, progress, started, restart=restart)
        return run.model

    return Stage(
        "finetune",
        fingerprint,
        show_done=lambda: None if restart else _show_trained(run, progress),
        do=train,
    )


def _show_trained(run: RunFolder, progress: Progress) -> Path | None:
    damage = run.find_damage(run.model, run.task, run.preset, run.adapter)
    if damage is None:
        progress.note(f"finetune: done before, unchanged ({run.model}); --restart trains again")
        return run.model
    anew = "rewritten from its last checkpoint" if run.list_phases() else "trained again"
    progress.warn(f"{damage} The model is {anew}.")
    return None


def _train(
    config: ExperimentConfig,
    run: RunFolder,
    dataset: PreparedDataset,
    source: ModelSource,
    fingerprint: str,
    progress: Progress,
    started: float,
    *,
    restart: bool,
) -> None:
    from kerasft.training.beginning import begin, find_start, settle_precision
    from kerasft.training.context import TrainingContext
    from kerasft.training.length import settle_epochs
    from kerasft.training.outcome import describe_result, publish_result, raise_error, write_figures
    from kerasft.training.phases import train_phases
    from kerasft.training.probe import settle_budget
    from kerasft.training.trained import build_task

    _make_repeatable(config.seed, progress)
    task = build_task(config, dataset.label_names, source.path)
    _check_accumulation(config, len(dataset.split("train")))
    if restart:
        run.clear_training()
    else:
        config = take_up_budget(config, run)
    identity = describe_identity(config, dataset, source.fingerprint, task.encoder_fingerprint)
    checkpoint = find_start(run, config, identity, progress)
    begin(config, run, dataset, source, checkpoint)
    beginning = compute_beginning_fingerprint(config, dataset, source)
    precision = settle_precision(config, run, beginning, checkpoint, progress)

    open_split = _make_opener(task, dataset, run, progress)
    if needs_probe(config.train):
        config = settle_budget(config, task, precision, open_split, progress)
        identity = describe_identity(config, dataset, source.fingerprint, task.encoder_fingerprint)
        run.write_config(config)
    model = task.build_model(seed=config.seed, matmul_dtype=precision.matmul_dtype)
    if config.train.epochs is None:
        config = settle_epochs(config, task, model, open_split, precision.matmul_dtype, progress)
        identity = describe_identity(config, dataset, source.fingerprint, task.encoder_fingerprint)
        fingerprint = compute_finetune_fingerprint(config, dataset, source)
        settled = {name: getattr(config.train, name) for name in _LENGTH if getattr(config.train, name)}
        run.mark_done(BEGINNING, beginning, precision=asdict(precision), train=settled)
        run.write_config(config)
    progress.note(_describe_start(config, task, model, len(dataset.split("train"))))
    context = TrainingContext(
        task,
        dataset,
        config.train,
        run,
        seed=config.seed,
        precision=precision,
        hyperparameters=_hyperparameters(config),
        facts={"identity": identity, "precision": asdict(precision)},
        started=started,
        progress=progress,
    )
    result, earlier = train_phases(context, model, open_split)
    task.settle_answers(result.model, open_split, config.train.evaluation_batch_size)
    publish_result(config, context, source, result, fingerprint)
    write_figures(run, result, earlier)
    run.record_course()
    raise_error(run, result)
    run.mark_done("finetune", fingerprint)
    describe_result(config, run, result, earlier, progress)


def _make_opener(
    task: Task, dataset: PreparedDataset, run: RunFolder, progress: Progress
) -> Callable[[str], Feed | None]:
    """Split → its examples; None where there is no such split."""
    from kerasft.training.trained import open_feed

    def open_split(name: str) -> Feed | None:
        if name not in dataset.splits:
            return None
        folder, *others = run.caches
        return open_feed(task, dataset, name, folder, progress, instead=others)

    return open_split


def _make_repeatable(seed: int, progress: Progress) -> None:
    """Sets what the bits of a training follow from besides its inputs, before anything of it is built."""
    import keras
    import tensorflow as tf

    from kerasft.training.memory import keep_freed_memory

    keep_freed_memory()
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    if tf.config.list_physical_devices("GPU"):
        progress.warn(
            "That repeated runs give identical bits was verified on CPUs, not on this device; "
            "kerasft verify-resume checks it."
        )


def _check_accumulation(config: ExperimentConfig, examples: int) -> None:
    """Refuses to accumulate more batches than there are, before anything is encoded or trained.

    Of entities only the encoded texts tell how many windows there are: they are looked at when training begins.

    Raises:
        ConfigError: there are fewer.
    """
    from kerasft.data.batching import count_batches
    from kerasft.optimizers.build import check_accumulation
    from kerasft.training.fit import count_steps

    train = config.train
    if train.epochs and not config.task.cuts_examples and not needs_probe(train):
        per_epoch = count_batches(examples, train.batch_size)
        steps = count_steps(train, per_epoch) if train.max_steps is None else train.max_steps
        check_accumulation(train.optimizer, steps)


def _describe_start(config: ExperimentConfig, task: Task, model: Any, examples: int) -> str:
    note = f" ({task.start_note})" if task.start_note else ""
    return (
        f"{model.count_params():,} weights from {config.model.start}{note}; {examples:,} examples, "
        f"{_describe_length(config)} in batches of {config.train.batch_size}"
    )


def _describe_length(config: ExperimentConfig) -> str:
    steps, epochs = config.train.max_steps, config.train.epochs
    if steps is not None and config.model.adaptation.type != "gradual":
        return f"{steps:,} step{'s' * (steps != 1)}"
    return f"{epochs} epoch{'s' * (epochs != 1)}"


def _hyperparameters(config: ExperimentConfig) -> dict[str, Any]:
    train = config.train
    return {
        "preset": config.model.start,
        "seed": config.seed,
        "epochs": train.epochs,
        "batch_size": train.batch_size,
        "optimizer": train.optimizer.type,
        "learning_rate": train.optimizer.learning_rate,
        "schedule": train.schedule.type,
        **_hyperparameters_of(config.model),
    }


def _hyperparameters_of(model: Any) -> dict[str, Any]:
    names = ("max_length", "context", "image_size_px", "dropout")
    values = {name: value for name in names if (value := getattr(model, name, None)) is not None}
    # TensorBoard takes numbers and texts: height × width
    return {
        name: " × ".join(map(str, value)) if isinstance(value, tuple) else value
        for name, value in values.items()
    }

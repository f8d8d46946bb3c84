"""finetune: a pre-trained net learns the task from the prepared dataset, going on where it was cut off."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import ConfigError, DataError, TrainingError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint, measure_folder
from kerasft.models.sources import ModelSource
from kerasft.progress import Progress, Silent
from kerasft.runs.folder import RunFolder
from kerasft.runs.stage import Stage
from kerasft.training.identity import compare_identities, describe_identity, find_beginning, refuse_changes
from kerasft.training.resume.checkpoint_files import Checkpoint

if TYPE_CHECKING:
    from kerasft.data.feed import Feed
    from kerasft.tasks.base import Task
    from kerasft.training.context import TrainingContext
    from kerasft.training.fit import TrainingResult
    from kerasft.training.precision import Precision


def compute_finetune_fingerprint(
    config: ExperimentConfig, dataset: PreparedDataset, source: ModelSource
) -> str:
    """Changes when the trained model could."""
    unimportant = {"checkpoint", "tensorboard", "workers"}
    sections = [config.task.model_dump(mode="json"), config.model.model_dump(mode="json")]
    sections.append(config.train.model_dump(mode="json", exclude=unimportant))
    sections.extend({name: own.model_dump(mode="json")} for name, own in config.own_sections.items())
    return compute_fingerprint([dataset.fingerprint, config.seed, sections, source.fingerprint])


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
        restart: removes the folder's training and begins afresh.

    Raises:
        ConfigError: the folder holds a run that began with another config, data or vocabulary.
        DataError: nothing is prepared, there is no training split, or no checkpoint can be used.
        PresetError: the preset cannot be had or used.
        TrainingError: the loss was not finite; the last good weights are kept first.
        Terminated: SIGTERM; a checkpoint was written first.
        KeyboardInterrupt: what there was is kept first.
    """
    open_stage(
        config, run, progress, load_prepared_dataset(run.dataset), config.model.resolve(), restart=restart
    ).complete(run)


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
        progress.note(f"finetune: done before, unchanged ({run.model}); --restart trains anew")
        return run.model
    anew = "written anew from its last checkpoint" if run.list_phases() else "trained anew"
    progress.warn(f"{damage} The model is {anew}.")
    return None


def _find_start(
    run: RunFolder, config: ExperimentConfig, identity: dict[str, Any], progress: Progress
) -> Checkpoint | None:
    """The checkpoint to go on from; None where there is none.

    Raises:
        ConfigError: the folder holds another run.
    """
    checkpoint, before, stands = find_beginning(run, progress.warn)
    if before is None:
        return None
    changes = compare_identities(before, identity)
    state = checkpoint.load_training_state() if checkpoint else {}
    begun = state["epoch"] + bool(state["steps_of_epoch"]) if state.get("phase") == "finetune" else 0
    # with blocks unfrozen one after another, the epochs decide what learns when
    if config.train.epochs < begun or config.model.adaptation.type == "gradual":
        changes.refused += [line for line in changes.allowed if line.startswith("train.epochs:")]
    if changes.refused:
        raise refuse_changes(run, changes.refused, stands)
    if checkpoint is None and changes.allowed and run.stage_record("finetune"):
        raise ConfigError(
            f"the model here is finished, and its checkpoints are gone: it cannot be trained on "
            f"({'; '.join(changes.allowed)})",
            where=str(run.checkpoints),
            fix="Use another folder (--output DIR), or train afresh: kerasft run … --restart.",
        )
    if checkpoint is not None:
        for change in changes.allowed:
            again = "; the schedule runs over all of them" if change.startswith("train.epochs:") else ""
            progress.note(f"Changed since the run began, and allowed: {change}{again}")
        if changes.doubtful:
            progress.warn(
                f"Other versions than the run began with ({', '.join(changes.doubtful)}): "
                "it goes on, but not to the very bits."
            )
    return checkpoint


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
    from kerasft.training.context import TrainingContext
    from kerasft.training.phases import train_phases
    from kerasft.training.trained import build_task, open_feed

    _make_repeatable(config.seed, progress)
    task = build_task(config, dataset.label_names, source.path)
    _check_accumulation(config, len(dataset.split("train")))
    if restart:
        run.clear_training()
    identity = describe_identity(config, dataset, source.fingerprint, task.encoder_fingerprint)
    checkpoint = _find_start(run, config, identity, progress)
    _begin(config, run, dataset, source, checkpoint)
    precision = _settle_precision(config, checkpoint, progress)
    model = task.build_model(seed=config.seed, matmul_dtype=precision.matmul_dtype)
    progress.note(
        f"{model.count_params():,} weights from {config.model.preset}; {len(dataset.split('train')):,} examples, "
        f"{config.train.epochs} epochs in batches of {config.train.batch_size}"
    )

    def open_split(name: str) -> Feed | None:
        return open_feed(task, dataset, name, run.cache, progress) if name in dataset.splits else None

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
    _publish(config, context, source, result, fingerprint)
    _write_figures(run, result, earlier)
    run.record_course()
    _raise_error(run, result)
    run.mark_done("finetune", fingerprint)
    _describe_result(config, run, result, earlier, progress)


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
            "Bits that are the same from run to run were verified on processors, not on this device: "
            "kerasft verify-resume tells."
        )


def _settle_precision(
    config: ExperimentConfig, checkpoint: Checkpoint | None, progress: Progress
) -> Precision:
    """What a training computes in: what `auto` found on the first day holds for the whole run."""
    from kerasft.training.precision import Precision, check_precision, choose_precision

    if checkpoint is None:
        precision = choose_precision(config.train.precision)
        progress.note(f"Precision {precision.reason}")
        return precision
    precision = Precision(**checkpoint.load_training_state()["precision"])
    check_precision(precision.policy)
    progress.note(_describe_start(checkpoint))
    return precision


def _publish(
    config: ExperimentConfig,
    context: TrainingContext,
    source: ModelSource,
    result: TrainingResult,
    fingerprint: str,
) -> None:
    """Writes the trained model, and what is needed to understand it."""
    from kerasft.training.trained import write_task

    run, task = context.run, context.task
    # until both are written, there is no trained model: a new one must not be read with the old one's labels
    run.discard(run.task)
    task.publish(result.model, run.path)
    _write_adapter(config, run, task, result.model, source)
    write_task(
        run,
        config,
        task,
        fingerprint=fingerprint,
        dataset_fingerprint=context.dataset.fingerprint,
        precision=context.precision.policy,
        stopped=result.stopped,
        best_step=result.best_step,
        identity=context.facts["identity"],
    )


def _describe_result(
    config: ExperimentConfig,
    run: RunFolder,
    result: TrainingResult,
    earlier: dict[str, TrainingResult],
    progress: Progress,
) -> None:
    if run.cache.exists():
        progress.note(
            f"The cache of encoded examples takes {measure_folder(run.cache) / 1e6:,.1f} MB in {run.cache}"
        )
    if result.stopped:
        progress.note(f"Stopped early: {result.stopped}")
    if result.best_epoch is not None:
        kept = _name_epoch(result.best_epoch, earlier)
        progress.note(f"Kept {kept}: {config.train.monitor} {result.best_value:.4f} on validation")


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
    if train.epochs and not config.task.cuts_examples:
        check_accumulation(train.optimizer, count_steps(train, count_batches(examples, train.batch_size)))


def _name_epoch(epoch: int, earlier: dict[str, TrainingResult]) -> str:
    """An epoch, counted from 0 over all phases, as the lines of its own phase count it."""
    for name, phase in earlier.items():
        if epoch < phase.epochs:
            return f"epoch {epoch + 1} of the {name}"
        epoch -= phase.epochs
    return f"epoch {epoch + 1}"


def _write_adapter(
    config: ExperimentConfig, run: RunFolder, task: Task, model: Any, source: ModelSource
) -> None:
    """What was learned beside the preset, where that is all that was."""
    run.discard(run.adapter)
    if config.model.adaptation.type != "lora":
        return
    from kerasft.models.adaptation.adapters import save_adapter
    from kerasft.models.adaptation.learning import is_head

    depths = task.compute_depths(model)
    save_adapter(
        model,
        [variable for variable in model.weights if is_head(variable.path, depths)],
        run.adapter,
        config.model.adaptation,
        preset=source.preset_fingerprint,
        label_names=task.label_names,
    )


def _begin(
    config: ExperimentConfig,
    run: RunFolder,
    dataset: PreparedDataset,
    source: ModelSource,
    checkpoint: Checkpoint | None,
) -> None:
    """Writes down what is about to be done, and removes what an unusable beginning has left."""
    run.check_trained()
    run.check_unchanged(run.config)
    run.mark_begun("finetune")
    run.forget_course()
    if checkpoint is None:
        run.discard(run.logs)
    run.write_config(config)
    run.write_environment(
        preset=str(source.path or source.name),
        dataset_fingerprint=dataset.fingerprint,
        shared_data=str(run.shared_data) if run.shared_data else None,
    )


def _describe_start(checkpoint: Checkpoint) -> str:
    state = checkpoint.load_training_state()
    place = f"epoch {state.get('first_epoch', 0) + state['epoch'] + 1}"
    if state["phase"] != "finetune" and not state["phase"].startswith("gradual-"):
        place += f" of the {state['phase']}"
    if state["steps_of_epoch"]:
        place += f", {state['steps_of_epoch']:,} of its steps done"
    return f"Going on from step {state['steps_before'] + checkpoint.step:,} ({place}): {checkpoint.path}"


def _write_figures(run: RunFolder, result: TrainingResult, earlier: dict[str, TrainingResult]) -> None:
    from kerasft.training.memory import measure_peak_memory_mb

    figures = {
        "examples_per_second": result.examples_per_second,
        "seconds": result.seconds,
        "padding_share": result.padding_share,
        "learning_share": result.learning_share,
        "peak_memory_mb": measure_peak_memory_mb(),
        "epochs": result.epochs,
    }
    if result.best_epoch is not None:
        figures["best_epoch"] = result.best_epoch + 1
    for name, phase in earlier.items():
        figures[f"{name}_epochs"] = phase.epochs
        figures[f"{name}_examples_per_second"] = phase.examples_per_second
        figures[f"{name}_seconds"] = phase.seconds
    run.write_figures("finetune", {"train": {name: {"value": value} for name, value in figures.items()}})


def _raise_error(run: RunFolder, result: TrainingResult) -> None:
    """What cut the training short, once there is to keep what there is."""
    if isinstance(result.error, TrainingError):
        raise TrainingError(
            result.error.what, where=result.error.where,
            fix=f"{result.error.fix} The last good weights are kept in {run.model}; another config starts afresh: "
            "--restart.",
        ) from result.error  # fmt: skip
    if result.error is not None:
        raise KeyboardInterrupt(
            f"what was learned so far is kept in {run.model}; the same command goes on from there."
        ) from result.error


def _hyperparameters(config: ExperimentConfig) -> dict[str, Any]:
    train = config.train
    return {
        "preset": config.model.preset,
        "seed": config.seed,
        "epochs": train.epochs,
        "batch_size": train.batch_size,
        "optimizer": train.optimizer.type,
        "learning_rate": train.optimizer.learning_rate,
        "schedule": train.schedule.type,
        **_hyperparameters_of(config.model),
    }


def _hyperparameters_of(model: Any) -> dict[str, Any]:
    names = ("max_length", "image_size_px", "dropout")
    return {name: value for name in names if (value := getattr(model, name, None)) is not None}

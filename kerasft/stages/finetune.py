"""finetune: a pre-trained net learns the task from the prepared dataset."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from kerasft.config.loading import dump_config
from kerasft.data.prepared import PreparedDataset, load_prepared_dataset
from kerasft.errors import DataError, TrainingError
from kerasft.experiment import ExperimentConfig
from kerasft.files import compute_fingerprint
from kerasft.models.fetching import compute_preset_fingerprint, resolve_preset
from kerasft.progress import Progress, Silent
from kerasft.training.run_folder import RunFolder


def compute_finetune_fingerprint(config: ExperimentConfig, dataset: PreparedDataset, preset: Path) -> str:
    """Changes when the trained model could."""
    sections = [section.model_dump(mode="json") for section in (config.task, config.model, config.train)]
    return compute_fingerprint(
        [dataset.fingerprint, config.seed, sections, compute_preset_fingerprint(preset)]
    )


def finetune(
    config: ExperimentConfig,
    run: RunFolder,
    progress: Progress = Silent(),  # noqa: B008 (has no state)
) -> None:
    """Trains, keeps the best epoch, and writes `model.keras`, `preset/` and figures.

    Raises:
        DataError: nothing is prepared, or there is no training split.
        PresetError: the preset cannot be had or used.
        TrainingError: the loss was not finite; the last good weights are kept first.
        KeyboardInterrupt: what there was is kept first.
    """
    started = time.perf_counter()
    dataset = load_prepared_dataset(run.dataset)
    if "train" not in dataset.splits:
        raise DataError("there is no training split", where="data.train", fix="Name training files.")
    preset = resolve_preset(config.model.preset)
    fingerprint = compute_finetune_fingerprint(config, dataset, preset)
    run.mark_begun("finetune")
    dump_config(config, run.config)
    run.write_environment(preset=str(preset), dataset_fingerprint=dataset.fingerprint)
    _train(config, run, dataset, preset, fingerprint, progress, started)


def _train(
    config: ExperimentConfig,
    run: RunFolder,
    dataset: PreparedDataset,
    preset: Path,
    fingerprint: str,
    progress: Progress,
    started: float,
) -> None:
    import keras
    import tensorflow as tf

    from kerasft.training.callbacks import measure_peak_memory_mb
    from kerasft.training.fit import Caches, train
    from kerasft.training.precision import choose_precision
    from kerasft.training.trained import build_task, open_cache, write_task

    keras.utils.set_random_seed(config.seed)
    tf.config.experimental.enable_op_determinism()
    task = build_task(config, dataset.label_names, preset)
    precision = choose_precision(config.train.precision)
    progress.note(f"Precision {precision.reason}")
    model = task.build_model(seed=config.seed, matmul_dtype=precision.matmul_dtype)
    caches = Caches(open_cache(task, dataset, "train", run.cache, progress))
    if "validation" in dataset.splits:
        caches.validation = open_cache(task, dataset, "validation", run.cache, progress)
    progress.note(
        f"{model.count_params():,} weights from {config.model.preset}; {len(caches.train):,} examples, "
        f"{config.train.epochs} epochs in batches of {config.train.batch_size}"
    )
    shutil.rmtree(run.logs, ignore_errors=True)
    result = train(
        task,
        model,
        caches,
        dataset,
        config.train,
        run,
        seed=config.seed,
        precision=precision,
        hyperparameters=_hyperparameters(config),
        progress=progress,
    )
    # until both are written, there is no trained model: a new one must not be read with the old one's labels
    run.task.unlink(missing_ok=True)
    task.publish(model, run.path)
    write_task(
        run, config, task, fingerprint=fingerprint, dataset_fingerprint=dataset.fingerprint,
        precision=precision.policy, stopped=result.stopped, best_step=result.best_step,
    )  # fmt: skip
    figures = {
        "examples_per_second": result.examples_per_second,
        "seconds": time.perf_counter() - started,
        "padding_share": result.padding_share,
        "peak_memory_mb": measure_peak_memory_mb(),
        "epochs": result.epochs,
    }
    if result.best_epoch is not None:
        figures["best_epoch"] = result.best_epoch + 1
    run.write_figures("finetune", {"train": {name: {"value": value} for name, value in figures.items()}})
    if isinstance(result.error, TrainingError):
        raise TrainingError(
            result.error.what, where=result.error.where,
            fix=f"{result.error.fix} The last good weights are kept in {run.model}.",
        ) from result.error  # fmt: skip
    if result.error is not None:
        raise KeyboardInterrupt(f"what was learned so far is kept in {run.model}") from result.error
    run.mark_done("finetune", fingerprint)
    if result.stopped:
        progress.note(f"Stopped early: {result.stopped}")
    if result.best_epoch is not None:
        progress.note(
            f"Best epoch {result.best_epoch + 1}: {config.train.monitor} {result.best_value:.4f} on validation"
        )


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
        "max_length": config.model.max_length,
    }

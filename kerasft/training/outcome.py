"""What is left in the run folder when a training is over: the model, what is needed to understand it, and figures."""

from __future__ import annotations

from typing import Any

from kerasft.errors import TrainingError
from kerasft.experiment import ExperimentConfig
from kerasft.files import measure_folder
from kerasft.models.adaptation.adapters import save_adapter
from kerasft.models.adaptation.learning import is_head
from kerasft.models.sources import ModelSource
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder
from kerasft.tasks.base import Task
from kerasft.training.context import TrainingContext
from kerasft.training.memory import measure_peak_memory_mb
from kerasft.training.result import TrainingResult
from kerasft.training.trained import write_task


def publish_result(
    config: ExperimentConfig,
    context: TrainingContext,
    source: ModelSource,
    result: TrainingResult,
    fingerprint: str,
) -> None:
    """Writes the trained model, and what is needed to understand it."""
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
        class_names={name: list(names) for name, names in context.dataset.class_names.items()},
        precision=context.precision.policy,
        stopped=result.stopped,
        best_step=result.best_step,
        identity=context.facts["identity"],
    )


def _write_adapter(
    config: ExperimentConfig, run: RunFolder, task: Task, model: Any, source: ModelSource
) -> None:
    """What was learned beside the preset, where that is all that was."""
    run.discard(run.adapter)
    if config.model.adaptation.type != "lora":
        return
    depths = task.compute_depths(model)
    save_adapter(
        model,
        [variable for variable in model.weights if task.has_new_head and is_head(variable.path, depths)],
        run.adapter,
        config.model.adaptation,
        preset=source.preset_fingerprint,
        label_names=task.label_names,
    )


def write_figures(run: RunFolder, result: TrainingResult, earlier: dict[str, TrainingResult]) -> None:
    figures = {
        "examples_per_second": result.examples_per_second,
        "seconds": result.seconds,
        "padding_share": result.padding_share,
        "learning_share": result.learning_share,
        "peak_memory_mb": measure_peak_memory_mb(),
        "epochs": result.epochs,
    }
    if result.tokens_per_example:
        figures["tokens_per_second"] = result.examples_per_second * result.tokens_per_example
    if result.best_epoch is not None:
        figures["best_epoch"] = result.best_epoch + 1
    elif result.best_step is not None:
        figures["best_step"] = result.best_step
    for name, phase in earlier.items():
        figures[f"{name}_epochs"] = phase.epochs
        figures[f"{name}_examples_per_second"] = phase.examples_per_second
        figures[f"{name}_seconds"] = phase.seconds
    run.write_figures("finetune", {"train": {name: {"value": value} for name, value in figures.items()}})


def raise_error(run: RunFolder, result: TrainingResult) -> None:
    """Raises what cut the training short, once what there is to keep is kept.

    Raises:
        TrainingError: the loss was not finite.
        KeyboardInterrupt: the user stopped it.
    """
    if isinstance(result.error, TrainingError):
        raise TrainingError(
            result.error.what, where=result.error.where,
            fix=f"{result.error.fix} The last good weights are kept in {run.model}; to use another config, start over: "
            "--restart.",
        ) from result.error  # fmt: skip
    if result.error is not None:
        raise KeyboardInterrupt(
            f"the best weights so far are kept in {run.model}; run the same command again to continue."
        ) from result.error


def describe_result(
    config: ExperimentConfig,
    run: RunFolder,
    result: TrainingResult,
    earlier: dict[str, TrainingResult],
    progress: Progress,
) -> None:
    """Reports what came of a training."""
    if run.cache.exists():
        progress.note(
            f"The cache of encoded examples takes {measure_folder(run.cache) / 1e6:,.1f} MB in {run.cache}"
        )
    if result.stopped:
        progress.note(f"Stopped early: {result.stopped}")
    if result.best_epoch is not None:
        kept = name_epoch(result.best_epoch, earlier)
        progress.note(f"Kept {kept}: {config.train.monitor} {result.best_value:.4f} on validation")
    elif result.best_step is not None:
        progress.note(
            f"Kept step {result.best_step:,}: {config.train.monitor} {result.best_value:.4f} on validation"
        )


def name_epoch(epoch: int, earlier: dict[str, TrainingResult]) -> str:
    """An epoch, counted from 0 over all phases, as the lines of its own phase count it."""
    for name, phase in earlier.items():
        if epoch < phase.epochs:
            return f"epoch {epoch + 1} of the {name}"
        epoch -= phase.epochs
    return f"epoch {epoch + 1}"

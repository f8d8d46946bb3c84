"""`kerasft.finetune`: from examples in memory, or a config file, to a trained model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerasft.api.inputs import build_document, list_fields, read_text, write_inputs
from kerasft.api.run import Run, choose_progress
from kerasft.config.loading import load_config
from kerasft.data.sources.in_memory import list_values, make_plain, read_splits
from kerasft.errors import ConfigError, DataError, PresetError, worded_for_python
from kerasft.experiment import ExperimentConfig
from kerasft.files import remove_folder
from kerasft.integrity import write_recorded_text
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder


@worded_for_python()
def finetune(
    config: str | Path | None = None,
    *,
    task: str | Mapping[str, Any] | None = None,
    preset: str | Path | None = None,
    train: Any = None,
    validation: Any = None,
    test: Any = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    name: str | None = None,
    output: str | Path | None = None,
    seed: int | None = None,
    overrides: Sequence[str] = (),
    restart: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Fine-tunes a preset on examples in memory, or as a config file says.

        train = {"text": ["What a film.", …], "label": ["liked", …]}
        run = kerasft.finetune(
            task="text_classification", preset="bert_base_en_uncased", train=train, epochs=3
        )
        run.predict("I want my money back.")

    Args:
        config: a YAML file; then only `output`, `overrides`, `restart` and `progress` may be given besides.
        task: what is learned, as `task.type` in a config; or the whole section,
            `{"type": "image_classification", "multi_label": True}`.
        preset: the pre-trained model, as `model.preset`.
        train: what it learns from: the task's fields by name, each a list, an array, a pandas Series, or whatever else
            yields values; or a pandas DataFrame; or a list of mappings, one an example. Pictures are paths of files.
        validation, test: the same; where missing, a tenth of the examples each, but none of fewer than 20.
        epochs, batch_size, learning_rate: as in `train` of a config; by default the task's, with smaller batches for
            few examples.
        name: the experiment's; by default `finetuned`.
        output: the run folder; by default `runs/<name>`.
        seed: all randomness follows from it; by default 0.
        overrides: `KEY=VALUE` each, laid over the config.
        restart: removes a training that stands in the run folder and begins afresh; else one that was cut off goes on,
            a finished one is opened, and one that began with something else is refused.
        progress: where to report; by default warnings are Python's (`UserWarning`), and all else is left out.

    Returns:
        The run.

    Raises:
        ConfigError: arguments that do not fit together.
        KerasftError: as the stages do.
    """
    overrides = list_values(overrides, "overrides", "kerasft.finetune")
    given = {"task": task, "preset": preset, "train": train}
    others = (validation, test, epochs, batch_size, learning_rate, name, seed)
    if config is not None:
        if any(value is not None for value in (*given.values(), *others)):
            raise ConfigError(
                "a config file already names the task, the data and the settings",
                where="kerasft.finetune",
                fix='Use overrides, for example overrides=["train.epochs=1"].',
            )
        return _finetune_as_configured(config, output, overrides, restart, progress)
    if missing := [key for key, value in given.items() if value is None]:
        raise ConfigError(
            f"give a config file, or task, preset and train; there is no {', no '.join(missing)}",
            where="kerasft.finetune",
        )
    name = name or "finetuned"
    section = {"type": task} if isinstance(task, str) else dict(task or {})
    splits = read_splits({"train": train, "validation": validation, "test": test}, list_fields(section))
    numbers = [make_plain(number) for number in (epochs, batch_size, learning_rate)]
    document = build_document(make_plain(section), preset, len(splits["train"]), *numbers)
    run = RunFolder(output or Path("runs", name))
    with _removed_if_refused(run), run.owned(), _kept_unless_refused(run.path / "inputs" / "config.yaml"):
        path = write_inputs(run, {"name": name, "seed": make_plain(seed) or 0, **document}, splits, restart)
        _finetune(load_config(ExperimentConfig, path, overrides).config, run, progress, restart)
    return Run(run.path)


def _finetune_as_configured(
    config: str | Path,
    output: str | Path | None,
    overrides: Sequence[str],
    restart: bool,
    progress: Progress | None,
) -> Run:
    loaded = load_config(ExperimentConfig, config, overrides)
    run = RunFolder(output or loaded.run_folder or Path("runs", loaded.config.name))
    with _removed_if_refused(run), run.owned():
        _finetune(loaded.config, run, progress, restart)
    return Run(run.path)


@contextmanager
def _removed_if_refused(run: RunFolder) -> Iterator[None]:
    """Removes a new run folder where what was asked for is refused before anything was prepared in it."""
    is_new = not run.path.exists()
    try:
        yield
    except (ConfigError, PresetError, DataError):
        # the error names the list of rejected rows, where there is one
        is_named = any(run.path.glob("*.rejected.jsonl"))
        if is_new and run.path.is_dir() and not run.stages.exists() and not is_named:
            remove_folder(run.path)
        raise


@contextmanager
def _kept_unless_refused(config: Path) -> Iterator[None]:
    """Puts back the config that stood there, where the new one is refused: a run is repeated from it."""
    before = read_text(config)
    try:
        yield
    except (ConfigError, PresetError):
        if before is not None:
            write_recorded_text(config.parent.parent, config, before)
        raise


def _finetune(config: ExperimentConfig, run: RunFolder, progress: Progress | None, restart: bool) -> None:
    from kerasft.stages import pipeline as stage

    stage.finetune(config, run, choose_progress(progress), restart=restart)

"""kerasft from Python: the stages as functions, on lists as well as files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from kerasft.config.loading import load_config
from kerasft.errors import ConfigError
from kerasft.experiment import ExperimentConfig
from kerasft.integrity import write_recorded_text
from kerasft.printable import format_json
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder


class Run:
    """A trained model and all that came of it, in a run folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path):
        self.folder = RunFolder(path)
        self.folder.read_task()
        self._predictor: Any = None

    def __repr__(self) -> str:
        return f"kerasft.Run({str(self.folder.path)!r})"

    @property
    def config(self) -> ExperimentConfig:
        """The resolved config."""
        return load_config(ExperimentConfig, self.folder.path).config

    @property
    def metrics(self) -> dict[str, Any]:
        """`{stage: {split: {figure: {"value": …}}}}`."""
        return self.folder.read_metrics()

    @property
    def model(self) -> Any:
        """The `keras.Model`, from token ids or pixels to logits."""
        return self._load().model

    def _load(self) -> Any:
        if self._predictor is None:
            from kerasft.stages.predict import Predictor

            self._predictor = Predictor(self.folder)
        return self._predictor

    def predict(self, inputs: Iterable[str | Path] | str | Path) -> Any:
        """`{"text", "label", "probabilities"}` for each text, in their order; for one string, one of them.

        A model of pictures takes the paths of files, and answers `{"image", "label", "probabilities"}`.

        Raises:
            ConfigError: `inputs` is neither a string nor a list, or the like, of some.
            DataError: an item is no string, or its picture cannot be used.
        """
        single = isinstance(inputs, str | Path)
        given: list[Any] = [inputs] if single else _list(inputs, "inputs", "kerasft.Run.predict")
        predictor = self._load()
        if predictor.held == "image":
            given = [str(path) if isinstance(path, Path) else path for path in given]
        answers = list(predictor.predict([{predictor.held: item} for item in given]))
        return answers[0] if single else answers

    def evaluate(self, progress: Progress | None = None) -> dict[str, Any]:
        """Measures validation and test, writes metrics.json and report.html; figures by split."""
        from kerasft.stages import pipeline as stage

        return stage.evaluate(self.config, self.folder, _progress(progress))

    def export(self, destination: str | Path | None = None, progress: Progress | None = None) -> Path:
        """Writes a SavedModel from raw strings or encoded pictures to labels; see `kerasft.stages.export.export`."""
        from kerasft.stages import export as stage

        target = None if destination is None else Path(destination)
        with self.folder.owned() if target is None else nullcontext():
            return stage.export(self.config, self.folder, _progress(progress), target)


def finetune(
    config: str | Path | None = None,
    *,
    task: str = "text_classification",
    preset: str | None = None,
    texts: Iterable[str] | None = None,
    labels: Iterable[Any] | None = None,
    validation: tuple[Iterable[str], Iterable[Any]] | None = None,
    test: tuple[Iterable[str], Iterable[Any]] | None = None,
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
    """Fine-tunes a preset on lists, or as a config file says.

        run = kerasft.finetune(preset="bert_base_en_uncased", texts=[…], labels=[…], epochs=3)
        run.predict(["What a film."])

    Args:
        config: a YAML file; then only `output`, `overrides`, `restart` and `progress` may be given besides.
        task: what is learned.
        preset: the pre-trained encoder, as `model.preset`.
        texts: what it learns from: a list, an array, a pandas Series, or whatever else yields strings.
        labels: a string, number or truth value for each text.
        validation, test: (texts, labels); where missing, a tenth of the texts each, but none of fewer than 20.
        epochs, batch_size, learning_rate: as in `train`; by default 3, 32 (or fewer, for few texts), 5e-5.
        name: the experiment's; by default `finetuned`.
        output: the run folder; by default `runs/<name>`.
        seed: all randomness follows from it; by default 0.
        overrides: `KEY=VALUE` each, laid over the config.
        restart: removes a training that stands in the run folder and begins afresh; else one that was cut off goes on,
            a finished one is opened, and one that began with something else is refused.
        progress: where to report; by default nowhere.

    Returns:
        The run.

    Raises:
        ConfigError: arguments that do not fit together.
        KerasftError: as the stages do.
    """
    overrides = _list(overrides, "overrides", "kerasft.finetune")
    if config is None:
        if preset is None or texts is None or labels is None:
            raise ConfigError("give a config file, or preset, texts and labels", where="kerasft.finetune")
        name = name or "finetuned"
        splits = _read_splits({"train": (texts, labels), "validation": validation, "test": test})
        examples = len(splits["train"][0])
        document = _build_document(
            task, str(preset), epochs, batch_size, learning_rate, name, seed or 0, examples
        )
        run = RunFolder(output or Path("runs", name))
        with run.owned():
            config = _write_inputs(run, document, splits, restart)
            _finetune(load_config(ExperimentConfig, config, overrides).config, run, progress, restart)
        return Run(run.path)
    if any(
        value is not None
        for value in (preset, texts, labels, validation, test, epochs, batch_size, learning_rate, name, seed)
    ):
        raise ConfigError(
            "a config file says itself what is learned, from what and how",
            where="kerasft.finetune",
            fix='Use overrides: overrides=["train.epochs=1"], say.',
        )
    loaded = load_config(ExperimentConfig, config, overrides)
    run = RunFolder(output or loaded.run_folder or Path("runs", loaded.config.name))
    with run.owned():
        _finetune(loaded.config, run, progress, restart)
    return Run(run.path)


def _finetune(config: ExperimentConfig, run: RunFolder, progress: Progress | None, restart: bool) -> None:
    from kerasft.stages import pipeline as stage

    stage.finetune(config, run, _progress(progress), restart=restart)


def load_run(path: str | Path) -> Run:
    """Opens a run folder that holds a trained model.

    Raises:
        ConfigError: it holds none.
    """
    return Run(path)


def _build_document(
    task: str,
    preset: str,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    name: str,
    seed: int,
    examples: int,
) -> dict[str, Any]:
    train: dict[str, Any] = {
        "epochs": 3 if epochs is None else epochs,
        "batch_size": max(1, min(32, examples // 8)) if batch_size is None else batch_size,
        "optimizer": {
            "type": "adamw",
            "learning_rate": 5e-5 if learning_rate is None else learning_rate,
            "weight_decay": 0.01,
        },
    }
    # of a handful of texts none can be spared
    share = 0.1 if examples >= 20 else 0.0
    data = {"validation_share": share, "test_share": share}
    if not any(mark in preset for mark in ("://", "package:")) and Path(preset).exists():
        preset = str(Path(preset).resolve())
    return {
        "name": name,
        "seed": seed,
        "task": {"type": task},
        "data": data,
        "model": {"preset": preset},
        "train": train,
    }


_SPLIT = "kerasft.finetune: {}"


def _read_splits(given: Mapping[str, Any]) -> dict[str, tuple[list[Any], list[Any]]]:
    """(texts, labels) of each split that is given, as lists of one length.

    Raises:
        ConfigError: they are none.
    """
    splits = {}
    for split, pair in given.items():
        if pair is None:
            continue
        where = _SPLIT.format(split)
        if isinstance(pair, str | bytes | Mapping) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise ConfigError(
                "expected two lists, of texts and of labels", where=where, fix=f"{split}=(texts, labels)"
            )
        texts, labels = (
            _list(pair[0], "texts", where),
            [_plain(label) for label in _list(pair[1], "labels", where)],
        )
        if not texts and split == "train":
            raise ConfigError("`texts` is empty", where=where)
        if len(texts) != len(labels):
            raise ConfigError(f"{len(texts):,} texts and {len(labels):,} labels", where=where)
        if split == "train" and len({repr(label) for label in labels}) == 1:
            told = f"`labels` holds only {labels[0]!r:.60}: a classifier needs texts of at least two labels"
            raise ConfigError(told, where=where)
        splits[split] = texts, labels
    return splits


def _list(values: Any, name: str, where: str) -> list[Any]:
    """The items of a list, array, Series, generator or the like, in their order.

    Raises:
        ConfigError: it is one text, or has no order, or not one dimension.
    """
    single = isinstance(values, str | bytes | Path)
    unordered = isinstance(values, Mapping | Set)
    if not single and not unordered and getattr(values, "ndim", 1) == 1:
        try:
            return list(values)
        except TypeError:
            pass
    got = f"{values!r:.60}" if single else f"{type(values).__name__}"
    raise ConfigError(
        f"`{name}` is to be a list, an array or a Series of one dimension; got {got}",
        where=where,
        fix=f"{name}=[…]" if single else None,
    )


def _write_inputs(
    run: RunFolder,
    document: dict[str, Any],
    splits: Mapping[str, tuple[list[Any], list[Any]]],
    restart: bool,
) -> Path:
    """Lists become JSON lines in the run folder, so that the run can be repeated from its config.

    Returns:
        The config's path.

    Raises:
        ConfigError: an item is nothing that JSON can hold, or a training there has learned from other inputs.
    """
    folder = run.path / "inputs"
    files: dict[str, str] = {}
    for split, (texts, labels) in splits.items():
        rows = (
            _format_row(number, text, label, split)
            for number, (text, label) in enumerate(zip(texts, labels, strict=True))
        )
        files[f"{split}.jsonl"] = "".join(f"{row}\n" for row in rows)
        document["data"][split] = {"format": "jsonl", "path": f"{split}.jsonl"}
    if run.list_trained() and not restart:
        # told before anything is written over
        others = [name for name, text in files.items() if _read_text(folder / name) != text]
        if others:
            raise ConfigError(
                f"this folder holds a run that has learned from other texts or labels ({', '.join(others)})",
                where=str(run.path),
                fix="Name another folder (output=…), or begin afresh there: restart=True.",
            )
    files["config.yaml"] = json.dumps(document, indent=2) + "\n"
    for name, text in files.items():
        write_recorded_text(run.path, folder / name, text)
    return folder / "config.yaml"


def _format_row(number: int, text: Any, label: Any, split: str) -> str:
    if not isinstance(text, str):
        raise ConfigError(f"text {number} is no string but {text!r:.60}", where=_SPLIT.format(split))
    try:
        return format_json({"text": text, "label": label}, keeps_surrogates=True)
    except (TypeError, ValueError) as error:
        told = f"label {number} is neither string, number nor truth value but {label!r:.60}"
        raise ConfigError(told, where=_SPLIT.format(split)) from error


def _read_text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def _progress(progress: Progress | None) -> Progress:
    if progress is not None:
        return progress
    from kerasft.progress import Silent

    return Silent()

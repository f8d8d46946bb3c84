"""kerasft from Python: the stages as functions, on examples in memory as well as files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pydantic

from kerasft.config.loading import load_config
from kerasft.data.kinds.fields import Field
from kerasft.data.sources.in_memory import list_values, make_plain, read_splits
from kerasft.errors import ConfigError, PresetError, worded_for_python
from kerasft.experiment import ExperimentConfig
from kerasft.files import remove_folder
from kerasft.integrity import write_recorded_text
from kerasft.progress import Progress
from kerasft.runs.folder import RunFolder
from kerasft.tasks import load_sections


class Run:
    """A trained model and all that came of it, in a run folder.

    Args:
        path: the folder.
    """

    @worded_for_python()
    def __init__(self, path: str | Path):
        self.folder = RunFolder(path)
        self.folder.read_task()
        self._predictor: Any = None
        self._writer: Any = None

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

    @worded_for_python()
    def predict(self, inputs: Any) -> Any:
        """What the model says of each input, in their order; of a single one, its answer alone.

        Args:
            inputs: strings, or paths of pictures; for a model of several inputs mappings, `{"first": …, "second": …}`.
                A list, an array or whatever else yields them, or a single one.

        Returns:
            Dicts with the input and the answer in them: `{"text", "label", "probabilities"}`, say; with a `note` where
            a text is blank.

        Raises:
            ConfigError: `inputs` is neither an input nor a list, or the like, of some.
            DataError: an item is none that the model takes.
        """
        predictor = self._load()
        names = list(predictor.kinds)
        single = isinstance(inputs, str | Path) or (len(names) > 1 and isinstance(inputs, Mapping))
        given: list[Any] = [inputs] if single else list_values(inputs, "inputs", "kerasft.Run.predict")
        rows = [item if len(names) > 1 else {names[0]: item} for item in given]
        for number, row in enumerate(rows, 1):
            if not isinstance(row, Mapping):
                raise ConfigError(
                    f"input {number} is {row!r:.60}",
                    where="kerasft.Run.predict",
                    fix="The model has several inputs: {" + ", ".join(f'"{name}": …' for name in names) + "}",
                )
        answers = list(predictor.predict([{key: _read_value(row[key]) for key in row} for row in rows]))
        return answers[0] if single else answers

    @worded_for_python()
    def generate(self, prompts: Any, *, batch_size: int = 8, **options: Any) -> Any:
        """Texts that go on from prompts, in their order; of a single prompt, its text alone. For language models.

            run.generate("ROMEO:", temperature=0, max_new_tokens=100)["continuation"]
            run.generate([{"role": "user", "content": "Are you open?"}])["continuation"]

        Args:
            prompts: strings: a list, an array or whatever else yields them, or a single one. A model that was trained
                on conversations takes these too, each a list of messages, of which it answers the last.
            batch_size: prompts that are written on at once.
            options: `max_new_tokens`, `temperature`, `top_k`, `top_p`, `repetition_penalty`, `stop` (strings, or a
                single one), `seed`; those that are not given are the run's own, `task.generation` of its config.

        Returns:
            Dicts with `prompt` (of a conversation `messages`), `continuation`, `tokens` and `ended`; with a `note`
            where a prompt was too long, and with `error` alone beside the prompt where it cannot be used.

        Raises:
            ConfigError: an option is none, or has no such value; or the model writes nothing.
        """
        from kerasft.stages.generate import is_conversation, make_row

        single = isinstance(prompts, str) or is_conversation(prompts)
        given = [prompts] if single else list_values(prompts, "prompts", "kerasft.Run.generate")
        writer = self._open_writer()
        config = _change(writer.defaults, options, "kerasft.Run.generate")
        rows = (make_row(make_plain(prompt)) for prompt in given)
        answers = list(writer.write(rows, config, batch_size=batch_size))
        return answers[0] if single else answers

    @worded_for_python()
    def stream(self, prompt: Any, **options: Any) -> Any:
        """The text of `generate` for a single prompt or conversation, piece by piece: an iterator over strings.

            for piece in run.stream("ROMEO:"):
                print(piece, end="", flush=True)

        Raises:
            ConfigError: as `generate`.
            DataError: the prompt cannot be used.
        """
        from kerasft.stages.generate import make_row

        writer = self._open_writer()
        return writer.stream(
            make_row(make_plain(prompt)), _change(writer.defaults, options, "kerasft.Run.stream")
        )

    def _open_writer(self) -> Any:
        if self._writer is None:
            from kerasft.stages.generate import Writer

            self._writer = Writer(self.folder)
        return self._writer

    @worded_for_python()
    def evaluate(self, progress: Progress | None = None) -> dict[str, Any]:
        """Measures validation and test, writes metrics.json and report.html; figures by split."""
        from kerasft.stages import pipeline as stage

        return stage.evaluate(self.config, self.folder, _progress(progress))

    @worded_for_python()
    def compare(
        self, other: Run | str | Path, split: str = "test", *, samples: int = 1000, seed: int = 0
    ) -> dict[str, Any]:
        """By how much each figure of another run differs from this one's; see `kerasft.stages.compare.compare`.

        Returns:
            `{figure: Comparison}`: `first`, `second`, `difference`, `low`, `high` and `p_value` of each.
        """
        from kerasft.stages.compare import compare

        second = other.folder if isinstance(other, Run) else RunFolder(other)
        return compare(self.folder, second, split, samples=samples, seed=seed).figures

    @worded_for_python()
    def export(self, destination: str | Path | None = None, progress: Progress | None = None) -> Path:
        """Writes a SavedModel from raw strings or encoded pictures to labels; see `kerasft.stages.export.export`."""
        from kerasft.stages import export as stage

        target = None if destination is None else Path(destination)
        with self.folder.owned() if target is None else nullcontext():
            return stage.export(self.config, self.folder, _progress(progress), target)


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
        loaded = load_config(ExperimentConfig, config, overrides)
        run = RunFolder(output or loaded.run_folder or Path("runs", loaded.config.name))
        with run.owned():
            _finetune(loaded.config, run, progress, restart)
        return Run(run.path)
    if missing := [key for key, value in given.items() if value is None]:
        raise ConfigError(
            f"give a config file, or task, preset and train; there is no {', no '.join(missing)}",
            where="kerasft.finetune",
        )
    name = name or "finetuned"
    section = {"type": task} if isinstance(task, str) else dict(task or {})
    splits = read_splits({"train": train, "validation": validation, "test": test}, _list_fields(section))
    numbers = [make_plain(number) for number in (epochs, batch_size, learning_rate)]
    document = _build_document(make_plain(section), preset, len(splits["train"]), *numbers)
    run = RunFolder(output or Path("runs", name))
    with _removed_if_refused(run), run.owned(), _kept_unless_refused(run.path / "inputs" / "config.yaml"):
        path = _write_inputs(run, {"name": name, "seed": make_plain(seed) or 0, **document}, splits, restart)
        _finetune(load_config(ExperimentConfig, path, overrides).config, run, progress, restart)
    return Run(run.path)


@contextmanager
def _removed_if_refused(run: RunFolder) -> Iterator[None]:
    """Removes a new run folder where what was asked for is refused before anything was prepared in it."""
    is_new = not run.path.exists()
    try:
        yield
    except (ConfigError, PresetError):
        if is_new and not run.stages.exists() and run.path.is_dir():
            remove_folder(run.path)
        raise


@contextmanager
def _kept_unless_refused(config: Path) -> Iterator[None]:
    """Puts back the config that stood there, where the new one is refused: a run is repeated from it."""
    before = _read_text(config)
    try:
        yield
    except (ConfigError, PresetError):
        if before is not None:
            write_recorded_text(config.parent.parent, config, before)
        raise


def _finetune(config: ExperimentConfig, run: RunFolder, progress: Progress | None, restart: bool) -> None:
    from kerasft.stages import pipeline as stage

    stage.finetune(config, run, _progress(progress), restart=restart)


def load_run(path: str | Path) -> Run:
    """Opens a run folder that holds a trained model.

    Raises:
        ConfigError: it holds none.
    """
    return Run(path)


def _list_fields(task: Mapping[str, Any]) -> tuple[Field, ...]:
    """What an example of the task must hold; nothing where the section is faulty, which is reported with the config."""
    schema = load_sections(str(task.get("type")), is_asked_for=True).task
    try:
        return schema.model_validate(dict(task)).fields
    except pydantic.ValidationError:
        return ()


def _build_document(
    task: Mapping[str, Any],
    preset: Any,
    examples: int,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
) -> dict[str, Any]:
    """An experiment's config, but for its name, its seed and where its data are."""
    usual = load_sections(str(task.get("type")), is_asked_for=True).train()
    train: dict[str, Any] = {
        "batch_size": max(1, min(usual.batch_size, examples // 8)) if batch_size is None else batch_size
    }
    if epochs is not None:
        train["epochs"] = epochs
    if learning_rate is not None:
        optimizer = usual.optimizer.model_dump(mode="json", exclude_unset=True)
        train["optimizer"] = {**optimizer, "learning_rate": learning_rate}
    # of a handful of examples none can be spared
    share = 0.1 if examples >= 20 else 0.0
    preset = str(preset)
    if not any(mark in preset for mark in ("://", "package:")) and Path(preset).exists():
        preset = str(Path(preset).resolve())
    return {
        "task": dict(task),
        "data": {"validation_share": share, "test_share": share},
        "model": {"preset": preset},
        "train": train,
    }


def _write_inputs(
    run: RunFolder, document: dict[str, Any], splits: Mapping[str, Sequence[str]], restart: bool
) -> Path:
    """Examples become JSON lines in the run folder, so that the run can be repeated from its config.

    Returns:
        The config's path.

    Raises:
        ConfigError: a training there has learned from other examples.
    """
    folder = run.path / "inputs"
    files: dict[str, str] = {}
    for split, rows in splits.items():
        files[f"{split}.jsonl"] = "".join(f"{row}\n" for row in rows)
        document["data"][split] = {"format": "jsonl", "path": f"{split}.jsonl"}
    if run.list_trained() and not restart:
        # before anything is written over
        others = [name for name, text in files.items() if _read_text(folder / name) != text]
        if others:
            raise ConfigError(
                f"this folder contains a run that was trained on other examples ({', '.join(others)})",
                where=str(run.path),
                fix="Name another folder (output=…), or start over there: restart=True.",
            )
    try:
        files["config.yaml"] = json.dumps(document, indent=2) + "\n"
    except TypeError as error:
        raise ConfigError(
            f"an argument is nothing that a config can hold: {error}", where="kerasft.finetune"
        ) from error
    for name, text in files.items():
        write_recorded_text(run.path, folder / name, text)
    return folder / "config.yaml"


def _change(defaults: Any, options: Mapping[str, Any], where: str) -> Any:
    """The options of writing, as they were given: a single stop string may stand for a list of one."""
    stop = options.get("stop")
    given = {**options, "stop": (stop,) if isinstance(stop, str) else stop}
    return defaults.change({name: make_plain(value) for name, value in given.items()}, where)


def _read_value(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else make_plain(value)


def _read_text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _progress(progress: Progress | None) -> Progress:
    if progress is not None:
        return progress
    from kerasft.progress import Warnings

    return Warnings()

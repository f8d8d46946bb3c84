"""A trained model from Python: predict, generate, evaluate, compare, export."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from kerasft.config.loading import load_config
from kerasft.data.sources.in_memory import list_values, make_plain
from kerasft.errors import ConfigError, worded_for_python
from kerasft.experiment import ExperimentConfig
from kerasft.progress import Progress, Warnings
from kerasft.runs.folder import RunFolder


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
        for number, row in enumerate(rows):
            if not isinstance(row, Mapping):
                raise ConfigError(
                    f"inputs[{number}] is {row!r:.60}",
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

        return stage.evaluate(self.config, self.folder, choose_progress(progress))

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
            return stage.export(self.config, self.folder, choose_progress(progress), target)


def load_run(path: str | Path) -> Run:
    """Opens a run folder that holds a trained model.

    Raises:
        ConfigError: it holds none.
    """
    return Run(path)


def _change(defaults: Any, options: Mapping[str, Any], where: str) -> Any:
    """The options of writing, as they were given: a single stop string may stand for a list of one."""
    stop = options.get("stop")
    given = {**options, "stop": (stop,) if isinstance(stop, str) else stop}
    plain = {name: make_plain(value) for name, value in given.items()}
    # NaN becomes None, as missing values do; of an option that would mean its default
    missing = {
        name: float("nan") for name, value in given.items() if value is not None and plain[name] is None
    }
    return defaults.change(plain | missing, where)


def _read_value(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else make_plain(value)


def choose_progress(progress: Progress | None) -> Progress:
    """The one that is given, or warnings alone."""
    return Warnings() if progress is None else progress

"""predict: answers for new texts or pictures, in their order, through the published Keras model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder

WINDOW = 1024
"""Texts read ahead, so that those of like length share a batch; answers come in the input's order all the same."""
PICTURES_AHEAD = 64
MAX_HELD_BYTES = 256 << 20
"""Pictures read ahead, and the bytes from which on no more are."""


class Predictor:
    """A run's trained model, loaded once.

    Args:
        run: the run folder.
        batch_size: texts or pictures a batch.
        config: what is asked for; None: as it was trained.

    Raises:
        ConfigError: nothing was trained there, or otherwise than the config says.
    """

    def __init__(self, run: RunFolder, batch_size: int = 64, config: ExperimentConfig | None = None):
        from kerasft.training.trained import load_trained

        self._trained = load_trained(run, config)
        self._batch_size = batch_size

    @property
    def model(self) -> Any:
        """The `keras.Model`, from token ids or pixels to logits."""
        return self._trained.model

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self._trained.task.label_names

    @property
    def held(self) -> str:
        """What a row must hold: `text`, or `image`, a picture's path."""
        return self._trained.task.config.inputs[0].name

    def predict(
        self,
        rows: Iterable[Mapping[str, Any]],
        window: int | None = None,
        *,
        refuse: Callable[[Mapping[str, Any], DataError], Any] | None = None,
        look: Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Answers as they are ready: each row with `label` and `probabilities` put beside what it held.

        Args:
            rows: each holds `text`, or `image`, the path of a picture.
            window: rows read ahead; by default 1,024 texts or 64 pictures.
            refuse: told of a row that cannot be used, whose answer then is an `error` in its place; by default it
                is raised.
            look: shown each row that has an answer, what was read of it, and the answer.

        Raises:
            DataError: a row's text is no string, or its picture cannot be used.
        """
        window = window or (WINDOW if self.held == "text" else PICTURES_AHEAD)
        for chunk in self._read_ahead(rows, window, refuse):
            examples = [read for _, read in chunk if not isinstance(read, DataError)]
            answers = iter(self._answer(examples))
            for row, read in chunk:
                if isinstance(read, DataError):
                    yield {**row, "error": read.what}
                    continue
                answer = self._trained.task.complete(read, next(answers))
                if look is not None:
                    look(row, read, answer)
                yield {**row, **answer}

    def _answer(self, examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to some examples, in their order; outputs are let go of batch by batch."""
        from kerasft.data.streams import run_over

        task, found = self._trained.task, dict[int, dict[str, Any]]()
        for part in run_over(task.make_feed(examples), self._trained.step, self._batch_size):
            answers = task.decode([output for _, output in part])
            found |= zip((number for number, _ in part), answers, strict=True)
        return [found[number] for number in range(len(examples))]

    def _read_ahead(
        self,
        rows: Iterable[Mapping[str, Any]],
        window: int,
        refuse: Callable[[Mapping[str, Any], DataError], Any] | None,
    ) -> Iterator[list[tuple[Mapping[str, Any], dict[str, Any] | DataError]]]:
        """Rows and what was read of them, so many at once; fewer where they are large."""
        chunk: list[tuple[Mapping[str, Any], dict[str, Any] | DataError]] = []
        held_bytes = 0
        for number, row in enumerate(rows, 1):
            read: dict[str, Any] | DataError
            try:
                read = self._trained.task.read_input(row)
                held_bytes += len(read[self.held])
            except DataError as error:
                if refuse is None:
                    told = DataError(f"Input {number}: {error.what}", where=error.where, fix=error.fix)
                    raise told from error
                refuse(row, error)
                read = error
            chunk.append((row, read))
            if len(chunk) == window or held_bytes > MAX_HELD_BYTES:
                yield chunk
                chunk, held_bytes = [], 0
        if chunk:
            yield chunk

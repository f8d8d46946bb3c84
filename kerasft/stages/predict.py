"""predict: answers new examples, in order, with the saved Keras model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kerasft.errors import DataError
from kerasft.experiment import ExperimentConfig
from kerasft.runs.folder import RunFolder
from kerasft.tasks import load_display

if TYPE_CHECKING:
    from kerasft.data.kinds.base import Kind
    from kerasft.tasks.display import Display

ROWS_AHEAD = 1024
"""Rows read ahead, so that those of like length share a batch; answers come in the rows' order all the same."""
FILES_AHEAD = 64
MAX_BYTES_AHEAD = 256 << 20
"""Rows read ahead where they name files, and the bytes from which on no more are."""


class Predictor:
    """A run's trained model, loaded once.

    Args:
        run: the run folder.
        batch_size: rows a batch.
        config: what is asked for; None: as it was trained.

    Raises:
        ConfigError: nothing was trained there, or otherwise than the config says.
    """

    def __init__(self, run: RunFolder, batch_size: int = 64, config: ExperimentConfig | None = None):
        run.read_task()  # whether anything was trained is known before TensorFlow is loaded
        from kerasft.training.trained import load_trained

        self._trained = load_trained(run, config)
        self._batch_size = batch_size

    @property
    def model(self) -> Any:
        """The `keras.Model`, from token ids or pixels to logits."""
        return self._trained.model

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """What a row must hold, by name: how a text, a picture's path or a number under it is read."""
        return self._trained.task.input_kinds

    @cached_property
    def display(self) -> Display:
        """How answers are shown."""
        task = self._trained.task
        return load_display(task.config.type)(task.config, task.label_names)

    def predict(
        self,
        rows: Iterable[Mapping[str, Any]],
        rows_ahead: int | None = None,
        *,
        refuse: Callable[[Mapping[str, Any], DataError], Any] | None = None,
        look: Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]], Any] | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Answers as they are ready: each row with what the model says of it put beside what it held.

        Args:
            rows: each holds the model's inputs: a text under `text`, or a picture's path under `image`, say.
            rows_ahead: rows read ahead; by default 1,024, or 64 where they name files.
            refuse: told of a row that cannot be used, whose answer then is an `error` in its place; by default it
                is raised.
            look: shown each row that has an answer, what was read of it, and the answer.

        An answer has a `note` where something is worth saying of the row: that its text is blank.

        Raises:
            DataError: a row lacks an input, or it cannot be used.
        """
        names_files = any(kind.is_file for kind in self.kinds.values())
        rows_ahead = rows_ahead or (FILES_AHEAD if names_files else ROWS_AHEAD)
        for chunk in self._read_ahead(rows, rows_ahead, refuse):
            examples = [read for _, read in chunk if not isinstance(read, DataError)]
            answers = iter(self._answer(examples))
            for row, read in chunk:
                if isinstance(read, DataError):
                    yield {**row, "error": read.what}
                    continue
                answer = self._trained.task.complete(read, next(answers))
                if look is not None:
                    look(row, read, answer)
                note = self._note(row)
                yield {**row, **answer, **({"note": note} if note else {})}

    def _note(self, row: Mapping[str, Any]) -> str:
        """What is worth saying of a row that has an answer; mostly nothing."""
        notes = {name: kind.note_input(row.get(name)) for name, kind in self.kinds.items()}
        several = len(notes) > 1
        return "; ".join(f"{name}: {note}" if several else note for name, note in notes.items() if note)

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
        rows_ahead: int,
        refuse: Callable[[Mapping[str, Any], DataError], Any] | None,
    ) -> Iterator[list[tuple[Mapping[str, Any], dict[str, Any] | DataError]]]:
        """Rows and what was read of them, so many at once; fewer where they are large."""
        chunk: list[tuple[Mapping[str, Any], dict[str, Any] | DataError]] = []
        bytes_ahead = 0
        for number, row in enumerate(rows):
            read: dict[str, Any] | DataError
            try:
                read = self._trained.task.read_input(row)
                bytes_ahead += sum(map(_measure, read.values()))
            except DataError as error:
                if refuse is None:
                    failure = DataError(f"inputs[{number}]: {error.what}", where=error.where, fix=error.fix)
                    raise failure from error
                refuse(row, error)
                read = error
            chunk.append((row, read))
            if len(chunk) == rows_ahead or bytes_ahead > MAX_BYTES_AHEAD:
                yield chunk
                chunk, bytes_ahead = [], 0
        if chunk:
            yield chunk


def _measure(value: Any) -> int:
    """Bytes that a value takes, roughly."""
    if isinstance(value, str | bytes):
        return len(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):  # an array or a tensor
        return math.prod(value.shape) * getattr(value.dtype, "itemsize", 8)
    return 8

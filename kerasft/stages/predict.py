"""predict: answers for new texts, in their order, through the published Keras model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from kerasft.errors import DataError
from kerasft.training.run_folder import RunFolder

WINDOW = 1024
"""Texts read ahead, so that those of like length share a batch; answers come in the input's order all the same."""


class Predictor:
    """A run's trained model, loaded once.

    Args:
        run: the run folder.
        batch_size: texts a batch.

    Raises:
        ConfigError: nothing was trained there.
    """

    def __init__(self, run: RunFolder, batch_size: int = 64):
        from kerasft.training.trained import load_trained

        self._trained = load_trained(run)
        self._forward = self._trained.task.build_forward(self._trained.model)
        self._batch_size = batch_size

    @property
    def model(self) -> Any:
        """The `keras.Model`, from token ids to logits."""
        return self._trained.model

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes, in the order of the model's outputs."""
        return self._trained.task.label_names

    def predict(self, rows: Iterable[Mapping[str, Any]], window: int = WINDOW) -> Iterator[dict[str, Any]]:
        """Answers as they are ready: each row with `label` and `probabilities` put beside what it held.

        Args:
            rows: each holds `text`.
            window: rows read ahead.

        Raises:
            DataError: a row's text is no string.
        """
        iterator, done = iter(rows), 0
        while chunk := list(islice(iterator, window)):
            task = self._trained.task
            examples = [self._read(row, done + index + 1) for index, row in enumerate(chunk)]
            outputs = task.compute_outputs(self._forward, examples, self._batch_size)
            for row, answer in zip(chunk, task.decode(outputs), strict=True):
                yield {**row, **answer}
            done += len(chunk)

    def _read(self, row: Mapping[str, Any], number: int) -> dict[str, Any]:
        try:
            return self._trained.task.read_input(row)
        except DataError as error:
            raise DataError(f"Input {number}: {error.what}", where=error.where, fix=error.fix) from error

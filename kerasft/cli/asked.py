"""Pairs the inputs of `kerasft predict` with their answers, and reports those that could not be answered."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kerasft.cli.input_rows import Kinds, Row, Rows, find_single_file, name_inputs
from kerasft.cli.options import Work
from kerasft.errors import RefusedInputs

_WARNINGS = 20


class Asked:
    """What was asked, in its order: puts each answer beside its row, and tells of rows that cannot be used.

    Args:
        rows: in the order of the answers.
        kinds: of the model's inputs.
        work: whose progress warns.
        skip_errors: leaves rows without an answer out.
    """

    def __init__(self, rows: Rows, kinds: Kinds, work: Work, skip_errors: bool):
        self._rows, self._kinds, self._skip = rows, kinds, skip_errors
        self._warn = work.progress.warn
        self._waiting: collections.deque[Row] = collections.deque()
        self._notes: collections.Counter[str] = collections.Counter()
        self.count, self.refused = 0, 0

    def feed(self) -> Iterator[dict[str, Any]]:
        """The rows as a `Predictor` takes them."""
        for row in self._rows:
            self._waiting.append(row)
            yield dict.fromkeys(self._kinds) if row.values is None else dict(row.values)

    def collect(
        self, predictions: Iterable[Mapping[str, Any]]
    ) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """(answer, other columns) of each row; an answer holds an `error` where the row cannot be used."""
        for prediction in predictions:
            row = self._waiting.popleft()
            self.count += 1
            answer = dict(prediction)
            if "error" in answer:
                if row.problem:
                    answer["error"] = row.problem
                self._report(row, answer["error"])
                if not self._skip:
                    yield answer, row.columns
                continue
            if note := answer.get("note"):
                self._notes[note] += 1
            yield answer, row.columns
        for note, count in self._notes.items():
            rows = f"{count:,} {name_inputs(self._kinds, plural=count > 1)}"
            self._warn(f"{rows} answered with a note: {note}.")

    def _report(self, row: Row, error: str) -> None:
        self.refused += 1
        if self.refused <= _WARNINGS:
            name = find_single_file(self._kinds)
            path = row.values[name] if name and row.values else ""
            self._warn(": ".join(filter(None, (row.where, path, error))))
        if self.refused == _WARNINGS:
            self._warn(
                f"Further {name_inputs(self._kinds)} that cannot be used are reported in the answers only."
            )

    def raise_refusals(self, command: str = "predict") -> None:
        """Raises `RefusedInputs` where some rows have no answer."""
        if not self.refused:
            return
        some = f"{self.refused:,} of {self.count:,} {name_inputs(self._kinds, plural=self.count > 1)}"
        left = (
            "They were left out of the output."
            if self._skip
            else "The reason is under `error` in their answers."
        )
        raise RefusedInputs(
            f"{some} could not be used"
            + ("; all others were answered." if self.refused < self.count else "."),
            where=command,
            fix=left,
        )

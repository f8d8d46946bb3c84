"""A trained model that needs no training: `predict` in milliseconds, with nothing heavy imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from kerasft.data.kinds import load_kind
from kerasft.data.kinds.fields import Field
from kerasft.errors import DataError


class KnownAnswers:
    """A trained task that answers `good` to all that has a g in it."""

    config = SimpleNamespace(type="text_classification", inputs=(Field("text", "text"),))
    input_kinds = {"text": load_kind(Field("text", "text"))}  # noqa: RUF012
    label_names = ("bad", "good")

    def read_input(self, row: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(row["text"], str):
            raise DataError("the input holds no text but None")
        return {"text": row["text"]}

    def answer(self, examples: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        names = self.label_names
        shares = [float("g" in example["text"]) for example in examples]
        return [
            {"label": names[int(share)], "probabilities": dict(zip(names, (1 - share, share), strict=True))}
            for share in shares
        ]

    def complete(self, example: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return answer


def answer_without_a_model(monkeypatch: pytest.MonkeyPatch, task: Any = None) -> None:
    """Puts a task that knows its answers in the place of whatever model `predict` would load."""
    import kerasft.stages.predict as stage

    usual, task = stage.Predictor, task or KnownAnswers()

    def make_predictor(run: Any, batch_size: int, config: Any) -> Any:
        predictor = object.__new__(usual)
        predictor.__dict__.update(
            _trained=SimpleNamespace(task=task, model=None), _answer=task.answer, _batch_size=batch_size
        )
        return predictor

    monkeypatch.setattr(stage, "Predictor", make_predictor)

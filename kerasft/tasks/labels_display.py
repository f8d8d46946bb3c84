"""How answers of labels are shown, whether an example has one or any number of them: columns, records, accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pydantic

from kerasft.data.prepared import Split
from kerasft.plots.style import shorten_label
from kerasft.plots.wording import format_interval, format_percent
from kerasft.tasks.display import Display, Measured
from kerasft.tasks.display_examples import Pictures, ShownExamples

Probability = pydantic.FiniteFloat


@dataclass(frozen=True, kw_only=True)
class SplitPredictions(ShownExamples):
    """What the model said about one split's examples.

    Attributes:
        probabilities: float (examples, classes); rows sum to 1 where an example has one label.
        labels: int (examples,), ids in [0, classes); of examples with any number of labels bool (examples, classes).
    """

    probabilities: np.ndarray
    labels: np.ndarray


class LabelsDisplay(Display):
    """Of classifiers."""

    label_key: ClassVar[str]
    """The key of answers and records that holds an example's label or labels."""

    def index_labels(self, named: Sequence[Any]) -> np.ndarray:
        """What records hold under `label_key`, as `SplitPredictions.labels` has it.

        Raises:
            KeyError: a name is no label's.
        """
        raise NotImplementedError

    def list_columns(self) -> list[str]:
        return [self.label_key, *(f"probability_{label}" for label in self.label_names)]

    def list_cells(self, answer: Mapping[str, Any]) -> list[Any]:
        probabilities = answer.get("probabilities") or {}
        return [answer.get(self.label_key), *(probabilities.get(label) for label in self.label_names)]

    def format_labels(self, answer: Mapping[str, Any], labels: Sequence[str]) -> str:
        """Some labels with their probabilities, for people."""
        probabilities = answer["probabilities"]
        return ", ".join(
            f"{shorten_label(label)}  {100 * probabilities[label]:.1f}\u202f%" for label in labels
        )

    def read_records(
        self, records: Iterable[Mapping[str, Any]], split: Split | None = None
    ) -> SplitPredictions:
        """What a split's records say.

        Args:
            records: lines of predictions/<split>.jsonl; read once.
            split: the examples, whose pictures are shown; None, or where they are texts: what records hold of them.

        Raises:
            KeyError: a record holds other labels than the model's.
        """
        probabilities, named, texts, origins = [], [], [], []
        for row in records:
            probabilities.append([row["probabilities"][name] for name in self.label_names])
            named.append(row[self.label_key])
            texts.append(row.get("text", ""))
            origins.append(row["origin"])
        shown: dict[str, Any] = {"texts": texts}
        if self.noun == "picture" and split is not None:
            shown = {"pictures": Pictures(split)}
        return SplitPredictions(
            probabilities=np.array(probabilities),
            labels=self.index_labels(named),
            origins=origins,
            **shown,
        )

    def describe_accuracy(self, measured: Measured, does: str) -> str:
        """On how many examples the model is right how often."""
        figures = measured.figures
        examples = int(figures["examples"]["value"]) if "examples" in figures else None
        interval = format_interval(self.config.figure_kinds.find("accuracy"), figures["accuracy"])
        number = "one" if examples == 1 else f"{examples:,}" if examples else "the"
        return (
            f"On {number} {measured.name} {self.noun}{'' if examples == 1 else 's'} the model {does} "
            f"{format_percent(figures['accuracy']['value'])} of the time"
            + (f" (95\u202f% interval {interval})." if interval else ".")
        )

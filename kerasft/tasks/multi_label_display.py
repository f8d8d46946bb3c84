"""How answers of any number of labels are shown: verdict, figures by label, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from kerasft.metrics.measure import Measure
from kerasft.metrics.multi_label import (
    THRESHOLD,
    MultiLabelMeasure,
    compute_example_multi_label_log_loss,
)
from kerasft.plots.wording import format_percent, name_label, quote_label
from kerasft.tasks.display import Measured, Section, Shown, Statement
from kerasft.tasks.display_examples import FOLDER, build_labels_section, show_example
from kerasft.tasks.labels_display import LabelsDisplay, Probability, SplitPredictions


class SeveralLabelsPrediction(pydantic.BaseModel):
    """A line of predictions/<split>.jsonl."""

    origin: str
    labels: list[str]
    text: str = ""
    probabilities: dict[str, Probability]


class MultiLabelDisplay(LabelsDisplay):
    """Of classifiers that give each example any number of classes."""

    record_schema = SeveralLabelsPrediction
    label_key = "labels"

    def index_labels(self, named: Sequence[Sequence[str]]) -> np.ndarray:
        index = {name: number for number, name in enumerate(self.label_names)}
        labels = np.zeros((len(named), len(index)), bool)
        for place, names in enumerate(named):
            labels[place, [index[name] for name in names]] = True
        return labels

    def list_cells(self, answer: Mapping[str, Any]) -> list[Any]:
        labels, *probabilities = super().list_cells(answer)
        return [None if labels is None else "|".join(labels), *probabilities]

    def caption(self, answer: Mapping[str, Any]) -> str:
        """The labels, and how sure each is."""
        return self.format_labels(answer, answer["labels"]) or "none"

    def show(self, measured: Measured) -> Shown:
        found = self.read_records(measured.records, measured.split)
        sections = (
            build_labels_section(measured.figures, self.config.figure_kinds, self.label_names, self.noun),
            self._build_mistakes_section(found, measured.mistakes),
        )
        return Shown(
            headline=self.describe_accuracy(measured, "gets every label right"),
            statements=_judge_several(found, measured.figures["accuracy"], self.label_names),
            sections=[section for section in sections if section is not None],
        )

    def open_measure(self, records: Sequence[Mapping[str, Any]], samples: int) -> Measure:
        found = self.read_records(records)
        return MultiLabelMeasure(found.probabilities, found.labels, self.label_names, samples)

    def _build_mistakes_section(self, found: SplitPredictions, count: int) -> Section | None:
        """The examples with wrong labels of which the model was surest, taken together."""
        if count < 1:
            return None
        differs = (found.probabilities >= THRESHOLD) != found.labels
        wrong = np.flatnonzero(differs.any(axis=1))
        surprise = compute_example_multi_label_log_loss(found.probabilities, found.labels)
        order = wrong[np.argsort(-surprise[wrong], kind="stable")]
        mistakes = [
            {
                "missed": self._list_labels(found, index, differs[index] & found.labels[index]),
                "made_up": self._list_labels(found, index, differs[index] & ~found.labels[index]),
                "right": self._list_labels(found, index, ~differs[index] & found.labels[index]),
                "origin": found.origins[index] if len(found.origins) else "",
                **show_example(found, index),
            }
            for index in order[:count].tolist()
        ]
        data = {"mistakes": mistakes, "total": len(wrong), "examples": len(differs), "noun": self.noun}
        return Section(
            heading="The worst mistakes", template="section_several_labels.html", data=data, folder=FOLDER
        )

    def _list_labels(self, found: SplitPredictions, index: int, chosen: np.ndarray) -> list[dict[str, Any]]:
        return [
            {
                "label": name_label(self.label_names[number]),
                "probability": format_percent(float(found.probabilities[index, number])),
            }
            for number in np.flatnonzero(chosen).tolist()
        ]


def _judge_several(
    several: SplitPredictions, accuracy: Mapping[str, float], label_names: Sequence[str]
) -> list[Statement]:
    """Against giving always the most frequent set of labels; and what is missed or given wrongly most often."""
    given = several.probabilities >= THRESHOLD
    sets, counts = np.unique(several.labels, axis=0, return_counts=True)
    usual, share = sets[counts.argmax()], float(counts.max() / len(several.labels))
    low, high = accuracy.get("low", accuracy["value"]), accuracy.get("high", accuracy["value"])
    names = ", ".join(
        quote_label(name) for name, is_usual in zip(label_names, usual, strict=True) if is_usual
    )
    found = [
        Statement(
            "good" if low > share else "bad" if high < share else "fair",
            f"Always giving {names or 'no label'}, the most frequent set of labels, would get every "
            f"label right {format_percent(share)} of the time; the model does {format_percent(accuracy['value'])}"
            + (", no more than chance explains." if low <= share <= high else "."),
        )
    ]
    for kind, wrong in (("missed", several.labels & ~given), ("given wrongly", given & ~several.labels)):
        counts = wrong.sum(axis=0)
        if counts.any():
            most = int(counts.argmax())
            held = int(several.labels[:, most].sum())
            found.append(
                Statement(
                    "plain",
                    f"{quote_label(label_names[most])} is {kind} most often: {counts[most]:,} times; "
                    f"{held:,} examples have it.",
                )
            )
    return found

"""How answers of one label each are shown: verdict, confusions, calibration, figures by label, the worst mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pydantic

from kerasft.metrics.classification import (
    ClassificationMeasure,
    compute_confusion_matrix,
    explain_missing_figures,
)
from kerasft.metrics.measure import Measure
from kerasft.metrics.mistakes import find_mistakes
from kerasft.plots.calibration import build_calibration_figure
from kerasft.plots.confusion import build_confusion_matrix_figure
from kerasft.plots.distributions import build_score_histogram_figure
from kerasft.plots.style import figure_to_svg
from kerasft.plots.wording import format_percent, name_label, quote_label
from kerasft.tasks.display import Figures, Measured, Section, Shown, Statement, Tone
from kerasft.tasks.display_examples import FOLDER, build_labels_section, show_example
from kerasft.tasks.labels_display import LabelsDisplay, Probability, SplitPredictions


class Prediction(pydantic.BaseModel):
    """A line of predictions/<split>.jsonl."""

    origin: str
    label: str
    text: str = ""
    probabilities: dict[str, Probability]


class SingleLabelDisplay(LabelsDisplay):
    """Of classifiers that give each example the most probable of some classes."""

    record_schema = Prediction
    label_key = "label"

    def index_labels(self, named: Sequence[str]) -> np.ndarray:
        index = {name: number for number, name in enumerate(self.label_names)}
        return np.array([index[name] for name in named])

    def caption(self, answer: Mapping[str, Any]) -> str:
        """The label, and how sure it is."""
        return self.format_labels(answer, [answer["label"]])

    def show(self, measured: Measured) -> Shown:
        return self.show_predictions(self.read_records(measured.records, measured.split), measured)

    def open_measure(self, records: Sequence[Mapping[str, Any]], samples: int) -> Measure:
        found = self.read_records(records)
        return ClassificationMeasure(found.probabilities, found.labels, self.label_names, samples)

    def show_predictions(self, found: SplitPredictions, measured: Measured) -> Shown:
        """What the report says of a split whose records were read."""
        sections = (
            self._build_confusion_section(found),
            _build_calibration_section(found),
            build_labels_section(measured.figures, self.config.figure_kinds, self.label_names, self.noun),
            self._build_mistakes_section(found, measured.mistakes),
        )
        return Shown(
            headline=self._build_headline(measured),
            statements=self._judge(found, measured.figures),
            sections=[section for section in sections if section is not None],
        )

    def _build_headline(self, measured: Measured) -> str:
        figures = measured.figures
        if "accuracy" not in figures:
            return ""
        return self.describe_accuracy(measured, "is right")

    def _judge(self, found: SplitPredictions, figures: Figures) -> list[Statement]:
        names = self.label_names
        smoothing = float(getattr(self.config, "label_smoothing", 0.0))
        return [
            *_compare_with_majority(figures, names),
            *_judge_rare_labels(figures),
            *_judge_calibration(figures, found, names, smoothing),
            *_name_confusions(found, names),
            *_explain_missing(found, names),
        ]

    def _build_confusion_section(self, found: SplitPredictions) -> Section:
        """Confusion matrix."""
        matrix = compute_confusion_matrix(found.probabilities, found.labels)
        figure = build_confusion_matrix_figure(matrix, self.label_names)
        data = {"svg": figure_to_svg(figure, min_scale=0.6), "noun": self.noun}
        return Section(
            heading="Confusion matrix", template="section_confusion.html", data=data, folder=FOLDER
        )

    def _build_mistakes_section(self, found: SplitPredictions, count: int) -> Section | None:
        """The examples that the model is surest of and wrong about."""
        if count < 1:
            return None
        wrong = find_mistakes(found.probabilities, found.labels)
        predicted = found.probabilities.argmax(axis=1)
        mistakes = []
        for index in wrong[:count].tolist():
            label, prediction = int(found.labels[index]), int(predicted[index])
            mistakes.append(
                {
                    "label": name_label(self.label_names[label]),
                    "predicted": name_label(self.label_names[prediction]),
                    "sure": format_percent(float(found.probabilities[index, prediction])),
                    "label_probability": format_percent(float(found.probabilities[index, label])),
                    "origin": found.origins[index] if len(found.origins) else "",
                    **show_example(found, index),
                }
            )
        data = {"mistakes": mistakes, "total": len(wrong), "examples": len(predicted), "noun": self.noun}
        return Section(
            heading="The worst mistakes", template="section_mistakes.html", data=data, folder=FOLDER
        )


def _build_calibration_section(found: SplitPredictions) -> Section:
    """Whether probabilities can be trusted."""
    data = {
        "calibration": figure_to_svg(build_calibration_figure(found.probabilities, found.labels)),
        "scores": figure_to_svg(build_score_histogram_figure(found.probabilities, found.labels)),
    }
    return Section(heading="Confidence", template="section_calibration.html", data=data, folder=FOLDER)


def _compare_with_majority(figures: Figures, label_names: Sequence[str]) -> list[Statement]:
    supports = {
        name: figures[f"support/{name}"]["value"] for name in label_names if f"support/{name}" in figures
    }
    total = sum(supports.values())
    if not total or "accuracy" not in figures:
        return []
    most = max(supports, key=supports.__getitem__)
    share = supports[most] / total
    accuracy = figures["accuracy"]
    if share == 1:
        return [
            Statement(
                "fair",
                f"All examples are labelled {quote_label(most)}: a model that always says this would do as well.",
            )
        ]
    always = f"Always saying {quote_label(most)}, the most frequent label,"
    start = f"{always} would be right {format_percent(share)} of the time"
    low, high = accuracy.get("low", 0.0), accuracy.get("high", 1.0)
    if low > share:
        return [Statement("good", f"{start}. The model is better, by more than chance explains.")]
    if high < share:
        return [Statement("bad", f"{start}. The model is worse than that: it has learned nothing useful.")]
    return [Statement("bad", f"{start}. The model is not better than that beyond what chance explains.")]


def _judge_rare_labels(figures: Figures) -> list[Statement]:
    if "macro_f1" not in figures or "accuracy" not in figures:
        return []
    macro, accuracy = figures["macro_f1"]["value"], figures["accuracy"]["value"]
    if macro > accuracy - 0.05:
        return []
    return [
        Statement(
            "fair",
            f"It does worse on rare labels: F1 averaged over labels is {format_percent(macro)}, "
            f"{100 * (accuracy - macro):.0f} points below its accuracy.",
        )
    ]


def _judge_calibration(
    figures: Figures, predictions: SplitPredictions, label_names: Sequence[str], smoothing: float
) -> list[Statement]:
    if "low" not in figures.get("ece", {}):
        return []
    ece = figures["ece"]
    sure = float(predictions.probabilities.max(axis=1).mean(dtype=np.float64))
    right = float(np.mean(predictions.probabilities.argmax(axis=1) == predictions.labels))
    average = f"it is {format_percent(sure)} sure on average and right {format_percent(right)} of the time"
    off = f"its probabilities are off by {100 * ece['value']:.1f} points on average"
    if ece.get("low") == 0.0:
        return [Statement("good", f"Its probabilities are well calibrated: {average}.")]
    if abs(sure - right) < 0.5 * ece["value"]:
        return [
            Statement("fair", f"{off.capitalize()}, too high in places and too low in others; {average}.")
        ]
    kind = "over-confident" if sure > right else "under-confident"
    tone: Tone = "bad" if ece["value"] > 0.15 else "fair"
    cause = ""
    if smoothing and sure < right:
        most = 1 - smoothing + smoothing / len(label_names)
        cause = (
            f" Label smoothing causes this: the training target was to be {format_percent(most)} sure and no more "
            f"(task.label_smoothing: {smoothing:g})."
        )
    return [Statement(tone, f"It is {kind}: {average} ({off}).{cause}")]


def _name_confusions(predictions: SplitPredictions, label_names: Sequence[str]) -> list[Statement]:
    matrix = compute_confusion_matrix(predictions.probabilities, predictions.labels)
    support = matrix.sum(axis=1)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return [Statement("good", "It makes no mistakes on these examples.")]
    order = np.argsort(-wrong, axis=None, kind="stable")[: 1 if len(matrix) == 2 else 3]
    parts = []
    for cell in order:
        label, prediction = divmod(int(cell), len(matrix))
        count = int(wrong[label, prediction])
        if count:
            parts.append(
                f"{quote_label(label_names[label])} taken for {quote_label(label_names[prediction])} "
                f"({count:,} of {support[label]:,}, {format_percent(count / support[label])})"
            )
    kind = "Its most frequent mistake" if len(parts) == 1 else "Its most frequent mistakes"
    return [Statement("plain", f"{kind}: {'; '.join(parts)}.")]


def _explain_missing(predictions: SplitPredictions, label_names: Sequence[str]) -> list[Statement]:
    missing = explain_missing_figures(predictions.probabilities, predictions.labels, label_names)
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing.items():
        by_reason.setdefault(reason, []).append(name)
    if not by_reason:
        return []
    shown = [f"{', '.join(names)} ({reason})" for reason, names in list(by_reason.items())[:5]]
    more = f"; and {len(by_reason) - 5} more" if len(by_reason) > 5 else ""
    return [Statement("plain", f"Left out because undefined here: {'; '.join(shown)}{more}.")]

"""The report's part on examples with any number of labels: which were missed or given wrongly, the worst first."""

from __future__ import annotations

from typing import Any

import numpy as np

from kerasft.metrics.multi_label import THRESHOLD, compute_example_multi_label_log_loss
from kerasft.report.content import ReportContent, Section, SeveralLabels
from kerasft.report.mistakes import show_example
from kerasft.report.wording import format_percent, name_label


def build_several_labels_section(content: ReportContent, split: str) -> Section | None:
    """The examples with wrong labels of which the model was surest, taken together."""
    found = content.several_labels.get(split)
    if found is None or content.mistakes < 1:
        return None
    differs = (found.probabilities >= THRESHOLD) != found.labels
    wrong = np.flatnonzero(differs.any(axis=1))
    surprise = compute_example_multi_label_log_loss(found.probabilities, found.labels)
    order = wrong[np.argsort(-surprise[wrong], kind="stable")]
    mistakes = [
        {
            "missed": _list_labels(content, found, index, differs[index] & found.labels[index]),
            "made_up": _list_labels(content, found, index, differs[index] & ~found.labels[index]),
            "right": _list_labels(content, found, index, ~differs[index] & found.labels[index]),
            "origin": found.origins[index] if len(found.origins) else "",
            **show_example(found, index),
        }
        for index in order[: content.mistakes].tolist()
    ]
    data = {"mistakes": mistakes, "total": len(wrong), "examples": len(differs), "noun": content.noun}
    return Section(heading="The worst mistakes", template="section_several_labels.html", data=data)


def _list_labels(
    content: ReportContent, found: SeveralLabels, index: int, chosen: np.ndarray
) -> list[dict[str, Any]]:
    return [
        {
            "label": name_label(content.label_names[number]),
            "probability": format_percent(float(found.probabilities[index, number])),
        }
        for number in np.flatnonzero(chosen).tolist()
    ]

"""The report's parts: each takes the content and gives a section, or None where there is nothing to show."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from kerasft.metrics.classification import compute_confusion_matrix
from kerasft.plots.calibration import build_calibration_figure
from kerasft.plots.confusion import build_confusion_matrix_figure
from kerasft.plots.distributions import build_label_balance_figure, build_score_histogram_figure
from kerasft.plots.style import figure_to_svg
from kerasft.report.content import Figures, ReportContent, Section
from kerasft.report.entities import build_entities_section
from kerasft.report.mistakes import build_mistakes_section
from kerasft.report.training import build_training_section
from kerasft.report.usage import build_usage_section
from kerasft.report.verdict import build_headline, build_verdict
from kerasft.report.wording import format_figure, format_interval

_OVERALL = {
    "f1": ("F1", "precision and recall in one, of whole entities with the right type"),
    "precision": ("Precision", "share of the entities that it names that are right"),
    "recall": ("Recall", "share of the entities in the texts that it finds"),
    "partial_f1": ("Partial F1", "the same as F1, an overlap counting one half whatever the type"),
    "exact_f1": ("Exact F1", "the same as F1, whatever the type"),
    "ent_type_f1": ("Type F1", "the same as F1, an overlap with the right type counting whole"),
    "token_accuracy": ("Token accuracy", "share of words whose tag is right; most are none, so it flatters"),
    "accuracy": ("Accuracy", "share of examples that it is right on"),
    "macro_f1": ("Macro F1", "precision and recall in one, every label counting alike"),
    "weighted_f1": ("Weighted F1", "the same, labels counting by their frequency"),
    "mcc": ("Matthews correlation", "0 is chance, 1 perfect; fair to rare labels"),
    "roc_auc": ("ROC AUC", "how well it ranks; 0.5 is chance, 1 perfect"),
    "log_loss": ("Log-loss", "how surprised it is by the labels, nats; lower is better"),
    "brier": ("Brier score", "squared error of the probabilities; lower is better"),
    "ece": ("Calibration error", "how far confidence is from accuracy (ECE); lower is better"),
    "macro_precision": ("Macro precision", "the mean of the labels' precisions"),
    "macro_recall": ("Macro recall", "the mean of the labels' recalls"),
    **{
        f"{prefix}_{kind}": (f"{name} {kind}", f"as {name} F1 counts")
        for prefix, name in (("partial", "Partial"), ("exact", "Exact"), ("ent_type", "Type"))
        for kind in ("precision", "recall")
    },
    "examples": ("Examples", "measured"),
    "entities": ("Entities", "in them"),
}
_TILES = ("f1", "precision", "recall", "partial_f1", "accuracy", "macro_f1", "roc_auc", "ece")


def build_verdict_section(content: ReportContent, split: str) -> Section | None:
    """Headline, tiles and sentences."""
    figures = content.figures[split]
    tiles = [
        {
            "name": _OVERALL[name][0],
            "value": format_figure(name, float(figures[name]["value"])),
            "interval": format_interval(name, figures[name]),
            "about": _OVERALL[name][1],
            "bar": _place_bar(figures[name], 0.0, 1.0),
        }
        for name in _TILES
        if name in figures
    ]
    data = {
        "headline": build_headline(content, split),
        "tiles": tiles,
        "statements": build_verdict(content, split),
    }
    return Section(heading="Verdict", template="section_verdict.html", data=data)


def _place_bar(figure: Mapping[str, float], start: float, stop: float) -> dict[str, float] | None:
    """Where value and interval lie between `start` and `stop`, in per cent; None without an interval."""
    if "low" not in figure or "high" not in figure or stop <= start:
        return None

    def place(value: float) -> float:
        return round(100 * min(max((value - start) / (stop - start), 0.0), 1.0), 2)

    low, high = place(figure["low"]), place(figure["high"])
    return {"low": low, "width": max(round(high - low, 2), 1.0), "value": place(figure["value"])}


def build_figures_section(content: ReportContent, split: str) -> Section | None:
    """All overall figures, by split, with intervals drawn on a scale that a row's splits share."""
    splits = list(content.figures)
    names = [name for name in _OVERALL if any(name in content.figures[split] for split in splits)]
    known = {name for found in content.figures.values() for name in found}
    names += sorted(name for name in known if name not in _OVERALL and "/" not in name)
    rows = []
    for name in names:
        found = [content.figures[split].get(name) for split in splits]
        start, stop = _choose_scale([figure for figure in found if figure is not None])
        if start == 0.0 and found[0] is not None and found[0].get("high", 0.0) > 1.0:
            stop = start  # a loss has no scale of its own
        cells = [
            None
            if figure is None
            else {
                "value": format_figure(name, figure["value"]),
                "interval": format_interval(name, figure),
                "bar": _place_bar(figure, start, stop),
            }
            for figure in found
        ]
        title, about = _OVERALL.get(name, (name.replace("_", " "), ""))
        rows.append({"name": title, "about": about, "cells": cells})
    if not rows:
        return None
    return Section(heading="Figures", template="section_figures.html", data={"splits": splits, "rows": rows})


def _choose_scale(figures: list[Mapping[str, float]]) -> tuple[float, float]:
    if len(figures) == 1:
        return 0.0, 1.0
    ends = [float(figure[end]) for figure in figures for end in ("low", "high", "value") if end in figure]
    margin = 0.15 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def build_confusion_section(content: ReportContent, split: str) -> Section | None:
    """What is taken for what."""
    found = content.predictions.get(split)
    if found is None:
        return None
    matrix = compute_confusion_matrix(found.probabilities, found.labels)
    data = {"svg": figure_to_svg(build_confusion_matrix_figure(matrix, content.label_names), min_scale=0.6)}
    return Section(heading="What is taken for what", template="section_confusion.html", data=data)


def build_calibration_section(content: ReportContent, split: str) -> Section | None:
    """Whether probabilities can be trusted."""
    found = content.predictions.get(split)
    if found is None:
        return None
    data = {
        "calibration": figure_to_svg(build_calibration_figure(found.probabilities, found.labels)),
        "scores": figure_to_svg(build_score_histogram_figure(found.probabilities, found.labels)),
    }
    return Section(heading="How sure it is", template="section_calibration.html", data=data)


def build_labels_section(content: ReportContent, split: str) -> Section | None:
    """Precision, recall and F1 of each label; the worst first where there are many."""
    figures = content.figures[split]
    rows = []
    for name in content.label_names:
        cells = [_describe_class_figure(figures, f"{kind}/{name}") for kind in ("precision", "recall", "f1")]
        support = figures.get(f"support/{name}", {}).get("value")
        if support is not None or any(cells):
            rows.append({"name": name, "support": support, "cells": cells})
    if not rows:
        return None
    worst_first = len(rows) > 5
    if worst_first:
        rows.sort(key=lambda row: figures.get(f"f1/{row['name']}", {}).get("value", math.inf))
    data = {"rows": rows, "worst_first": worst_first}
    return Section(heading="Label by label", template="section_labels.html", data=data)


def _describe_class_figure(figures: Figures, name: str) -> dict[str, Any] | None:
    if name not in figures:
        return None
    figure = figures[name]
    return {
        "value": format_figure(name, float(figure["value"])),
        "interval": format_interval(name, figure),
        "bar": _place_bar(figure, 0.0, 1.0),
    }


def build_data_section(content: ReportContent, split: str) -> Section | None:
    """What was found in the data before training."""
    manifest = content.manifest
    if not manifest or not manifest.get("splits"):
        return None
    splits = manifest["splits"]
    counts = {name: entry.get("labels") or {} for name, entry in splits.items()}
    leaks = manifest.get("leaks") or {}
    data = {
        "splits": splits,
        "rejected": {name: sum((entry.get("rejected") or {}).values()) for name, entry in splits.items()},
        "leaks": leaks,
        "leak_examples": [
            (key, example) for key, leak in leaks.items() for example in (leak.get("examples") or [])[:3]
        ],
        "notes": {name: entry.get("notes") or {} for name, entry in splits.items()},
        "sources": manifest.get("sources") or [],
        "fingerprint": manifest.get("fingerprint"),
        "balance": figure_to_svg(build_label_balance_figure(counts, content.label_names), min_scale=0.55),
    }
    return Section(heading="Data checks", template="section_data.html", data=data)


def build_settings_section(content: ReportContent, split: str) -> Section | None:
    """The resolved config and where it ran."""
    environment = list(_flatten(content.environment or {}))
    if not content.config_text and not environment:
        return None
    return Section(heading="Settings", template="section_settings.html", data={"environment": environment})


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{name}.")
        elif value is not None:
            text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
            yield f"{prefix}{name}", text


BEFORE = (
    build_verdict_section,
    build_figures_section,
    build_training_section,
    build_confusion_section,
    build_calibration_section,
    build_labels_section,
    build_mistakes_section,
    build_entities_section,
)
"""In the order of the page, before a content's own sections."""

AFTER = (build_data_section, build_usage_section, build_settings_section)
"""And after them."""

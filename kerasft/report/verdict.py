"""What the figures say, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kerasft.metrics.classification import compute_confusion_matrix, explain_missing_figures
from kerasft.metrics.multi_label import THRESHOLD
from kerasft.report.content import Figures, ReportContent, SeveralLabels, SplitPredictions
from kerasft.report.wording import format_interval, format_percent, quote_label

Tone = Literal["good", "fair", "bad", "plain"]
_FEW_EXAMPLES = 200


@dataclass(frozen=True)
class Statement:
    """One sentence or two of the verdict.

    Attributes:
        tone: how a reader should take it.
        text: plain text.
    """

    tone: Tone
    text: str


def build_headline(content: ReportContent, split: str) -> str:
    """On how many examples the model is right how often; an empty string where that is not known."""
    figures = content.figures[split]
    if "f1" in figures and "entities" in figures:
        return _tell_entities(figures, split)
    if "accuracy" not in figures:
        return ""
    examples = int(figures["examples"]["value"]) if "examples" in figures else None
    interval = format_interval(content.kinds.find("accuracy"), figures["accuracy"])
    number = "one" if examples == 1 else f"{examples:,}" if examples else "the"
    does = "gets every label right" if split in content.several_labels else "is right"
    return (
        f"On {number} {split} {content.noun}{'' if examples == 1 else 's'} the model {does} "
        f"{format_percent(figures['accuracy']['value'])} of the time"
        + (f" (95\u202f% interval {interval})." if interval else ".")
    )


def _tell_entities(figures: Figures, split: str) -> str:
    entities, texts = int(figures["entities"]["value"]), int(figures["examples"]["value"])
    start = f"Of the {entities:,} entities in {texts:,} {split} texts"
    if "recall" not in figures or "precision" not in figures:
        return f"{start} the model finds none."
    return (
        f"{start} the model finds {format_percent(figures['recall']['value'])}, and of those that it names "
        f"{format_percent(figures['precision']['value'])} are right, to the character and the type."
    )


def build_verdict(content: ReportContent, split: str) -> list[Statement]:
    """Sentences about one split: against always saying one label, calibration, what is confused, the data."""
    figures = content.figures[split]
    predictions = content.predictions.get(split)
    several = content.several_labels.get(split)
    if several is not None:
        found = _judge_several(several, content.label_names)
    else:
        found = _compare_with_majority(figures, content.label_names) + _judge_rare_labels(figures)
    if predictions is not None:
        found += _judge_calibration(figures, predictions, content)
        found += _name_confusions(predictions, content.label_names)
    found += _judge_data(content, split)
    if "examples" in figures and figures["examples"]["value"] < _FEW_EXAMPLES:
        found.append(
            Statement(
                "fair", "These are few examples: the intervals are wide, and small differences mean nothing."
            )
        )
    if predictions is not None:
        found += _explain_missing(predictions, content.label_names)
    return found


def _judge_several(several: SeveralLabels, label_names: Any) -> list[Statement]:
    """Against giving always the labels that most examples have; and what is missed or given wrongly most often."""
    given = several.probabilities >= THRESHOLD
    usual = several.labels.mean(axis=0, dtype=np.float64) > 0.5
    share = float((several.labels == usual).all(axis=1).mean())
    right = float((several.labels == given).all(axis=1).mean())
    names = ", ".join(
        quote_label(name) for name, is_usual in zip(label_names, usual, strict=True) if is_usual
    )
    found = [
        Statement(
            "good" if right > share else "bad",
            f"Always giving {names or 'no label'}, as most examples have it, would get every label right "
            f"{format_percent(share)} of the time; the model does {format_percent(right)}.",
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


def _compare_with_majority(figures: Figures, label_names: Any) -> list[Statement]:
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
                "fair", f"All examples are labelled {quote_label(most)}: nothing tells skill from habit."
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
    figures: Figures, predictions: SplitPredictions, content: ReportContent
) -> list[Statement]:
    if "low" not in figures.get("ece", {}):
        return []
    ece = figures["ece"]
    sure = float(predictions.probabilities.max(axis=1).mean(dtype=np.float64))
    right = float(np.mean(predictions.probabilities.argmax(axis=1) == predictions.labels))
    average = f"it is {format_percent(sure)} sure on average and right {format_percent(right)} of the time"
    off = f"its probabilities are off by {100 * ece['value']:.1f} points on average"
    if ece.get("low") == 0.0:
        return [Statement("good", f"Its probabilities can be taken at their word: {average}.")]
    if abs(sure - right) < 0.5 * ece["value"]:
        return [
            Statement("fair", f"{off.capitalize()}, too high in places and too low in others; {average}.")
        ]
    kind = "over-confident" if sure > right else "under-confident"
    tone: Tone = "bad" if ece["value"] > 0.15 else "fair"
    cause = ""
    smoothing = content.label_smoothing
    if smoothing and sure < right:
        most = 1 - smoothing + smoothing / len(content.label_names)
        cause = (
            f" Label smoothing makes it so: it was taught to be {format_percent(most)} sure and no more "
            f"(task.label_smoothing: {smoothing:g})."
        )
    return [Statement(tone, f"It is {kind}: {average} ({off}).{cause}")]


def _name_confusions(predictions: SplitPredictions, label_names: Any) -> list[Statement]:
    matrix = compute_confusion_matrix(predictions.probabilities, predictions.labels)
    support = matrix.sum(axis=1)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return [Statement("good", "It makes no mistake on these examples.")]
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


def _judge_data(content: ReportContent, split: str) -> list[Statement]:
    leak = ((content.manifest or {}).get("leaks") or {}).get(f"train → {split}") or {}
    left = leak.get("exact", 0) + leak.get("near", 0) if not leak.get("dropped") else 0
    if split == "train" or not left:
        return []
    return [
        Statement(
            "fair",
            f"{left:,} {split} {content.noun}s stand in train as well, exactly or nearly: on them the figures may "
            "flatter the model. Set data.leaks to drop to take them out of train.",
        )
    ]


def _explain_missing(predictions: SplitPredictions, label_names: Any) -> list[Statement]:
    missing = explain_missing_figures(predictions.probabilities, predictions.labels, label_names)
    by_reason: dict[str, list[str]] = {}
    for name, reason in missing.items():
        by_reason.setdefault(reason, []).append(name)
    if not by_reason:
        return []
    shown = [f"{', '.join(names)} ({reason})" for reason, names in list(by_reason.items())[:5]]
    more = f"; and {len(by_reason) - 5} more" if len(by_reason) > 5 else ""
    return [Statement("plain", f"Left out, being undefined here: {'; '.join(shown)}{more}.")]

"""The report's parts: each takes the content and gives a section, or None where there is nothing to show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kerasft.data.kinds.text_profile import describe_lengths, describe_scripts
from kerasft.metrics.figures import FigureKind
from kerasft.plots.distributions import build_label_balance_figure
from kerasft.plots.style import figure_to_svg
from kerasft.plots.wording import format_figure, format_interval, place_bar
from kerasft.report.content import ReportContent
from kerasft.report.training import build_training_section
from kerasft.report.usage import build_usage_section
from kerasft.report.verdict import build_verdict
from kerasft.tasks.display import Section


def build_verdict_section(content: ReportContent, split: str) -> Section | None:
    """Headline, tiles and sentences."""
    figures = content.figures[split]
    tiles = [
        {
            "name": kind.title,
            "value": format_figure(kind, float(figures[kind.name]["value"])),
            "interval": format_interval(kind, figures[kind.name]),
            "about": kind.about,
            "bar": place_bar(figures[kind.name], 0.0, 1.0) if kind.is_bounded else None,
        }
        for kind in content.kinds
        if kind.place == "headline" and kind.name in figures
    ]
    data = {
        "headline": content.shown[split].headline if split in content.shown else "",
        "tiles": tiles,
        "statements": build_verdict(content, split),
    }
    return Section(heading="Verdict", template="section_verdict.html", data=data)


def build_figures_section(content: ReportContent, split: str) -> Section | None:
    """All overall figures, by split, with intervals drawn on a scale that a row's splits share."""
    splits = list(content.figures)
    measured = {name for found in content.figures.values() for name in found if "/" not in name}
    kinds = [kind for kind in content.kinds if kind.name in measured]
    others = measured - {kind.name for kind in kinds}
    kinds += [content.kinds.find(name) for name in sorted(others)]
    rows = []
    for kind in kinds:
        found = [content.figures[split].get(kind.name) for split in splits]
        start, stop = _choose_scale(kind, [figure for figure in found if figure is not None])
        cells = [
            None
            if figure is None
            else {
                "value": format_figure(kind, figure["value"]),
                "interval": format_interval(kind, figure),
                "bar": place_bar(figure, start, stop),
            }
            for figure in found
        ]
        rows.append({"name": kind.title, "about": kind.about, "cells": cells})
    if not rows:
        return None
    has_intervals = any("low" in figure for split in content.figures.values() for figure in split.values())
    data = {"splits": splits, "rows": rows, "has_intervals": has_intervals}
    return Section(heading="Figures", template="section_figures.html", data=data)


def _choose_scale(kind: FigureKind, figures: list[Mapping[str, float]]) -> tuple[float, float]:
    if len(figures) == 1:
        return 0.0, float(kind.is_bounded)  # a loss has no scale of its own
    ends = [float(figure[end]) for figure in figures for end in ("low", "high", "value") if end in figure]
    margin = 0.15 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


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
        "dropped": {name: _count_dropped(entry.get("duplicates") or {}) for name, entry in splits.items()},
        "decontamination": manifest.get("decontamination"),
        "profiles": _list_profiles(splits),
        "notes": {name: entry.get("notes") or {} for name, entry in splits.items()},
        "sources": manifest.get("sources") or [],
        "fingerprint": manifest.get("fingerprint"),
        "balance": figure_to_svg(build_label_balance_figure(counts, content.label_names), min_scale=0.55)
        if content.label_names
        else None,
    }
    return Section(heading="Data checks", template="section_data.html", data=data)


def _count_dropped(duplicates: Mapping[str, Any]) -> int:
    return duplicates.get("dropped_exact", 0) + duplicates.get("dropped_near", 0)


def _list_profiles(splits: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What each split of a corpus holds."""
    return [
        {
            "split": name,
            "counts": [profile[key] for key in ("documents", "bytes", "characters", "words")],
            "lengths": describe_lengths(profile["lengths"]),
            "scripts": describe_scripts(profile["scripts"]),
        }
        for name, entry in splits.items()
        for profile in (entry.get("profile") or {}).values()
    ]


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


BEFORE = (build_verdict_section, build_figures_section, build_training_section)
"""In the order of the page, before the task's own sections."""

AFTER = (build_data_section, build_usage_section, build_settings_section)
"""And after them."""

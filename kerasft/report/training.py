"""The report's part that shows the training: what it took, phase by phase, and the learning curves."""

from __future__ import annotations

import io
from typing import Any

from kerasft.plots.curves import build_learning_curves_figure, is_smoothed, list_learning_curve_panels
from kerasft.plots.style import figure_to_svg
from kerasft.plots.wording import format_duration, format_number, format_percent
from kerasft.report.content import ReportContent
from kerasft.tasks.display import Section

_FACTS = {
    "seconds": "Time",
    "examples_per_second": "Examples a second",
    "tokens_per_second": "Tokens a second",
    "padding_share": "Padding among tokens",
    "learning_share": "Parameters that learn",
    "best_epoch": "Kept epoch",
    "best_step": "Kept step",
    "peak_memory_mb": "Peak memory",
}
_PHASES = {"head": "the head alone", "finetune": "the whole net"}
"""A phase → what learns in it."""
_SHEET_PX = 1060


def build_training_section(content: ReportContent, split: str) -> Section | None:
    """Learning curves, what training took, and the pictures as it saw them."""
    phases = _list_phases(content)
    ends = _find_ends(content, phases)
    unbounded = [kind.name for kind in content.kinds if kind.form != "count" and not kind.is_bounded]
    curves = [
        figure_to_svg(
            build_learning_curves_figure(
                content.history,
                panels=[panel],
                unbounded=unbounded,
                best_step=content.best_step,
                phase_ends=ends,
            )
        )
        for panel in list_learning_curve_panels(content.history, unbounded)
    ]
    shown_elsewhere = {
        f"{name}_{figure}" for name in _PHASES for figure in ("epochs", "examples_per_second", "seconds")
    }
    shown_elsewhere |= {"epochs", "examples_per_second"} if phases else set()
    shown_elsewhere |= set() if content.display.has_lengths else {"padding_share", "tokens_per_second"}
    facts = [
        (
            _FACTS.get(name, name.replace("_", " ").capitalize()),
            _name_epoch(content, int(figure["value"]))
            if name == "best_epoch"
            else _format_fact(name, float(figure["value"])),
        )
        for name, figure in content.training.items()
        if name not in shown_elsewhere
    ]
    sheet = None if content.augmentation is None else _embed_sheet(content.augmentation)
    if not curves and not facts and not sheet:
        return None
    data = {
        "curves": curves,
        "facts": facts,
        "phases": phases,
        "shaded": bool(ends),
        "smoothed": is_smoothed(content.history),
        "sheet": sheet,
    }
    return Section(heading="Training", template="section_training.html", data=data)


def _name_epoch(content: ReportContent, epoch: int) -> str:
    """An epoch, counted from 1 over all phases, as its own phase counts it."""
    for name in _PHASES:
        if f"{name}_epochs" in content.training:
            epochs = int(content.training[f"{name}_epochs"]["value"])
            if epoch <= epochs:
                return f"{epoch} of {_PHASES[name]}"
            epoch -= epochs
    return str(epoch)


def _list_phases(content: ReportContent) -> list[dict[str, Any]]:
    """What each phase took, in their order; empty where there was one only."""
    figures = {name: float(figure["value"]) for name, figure in content.training.items()}
    earlier = [name for name in _PHASES if f"{name}_epochs" in figures]
    if not earlier or not {"epochs", "seconds", "examples_per_second"} <= set(figures):
        return []
    rows = [_describe_phase(name, figures, f"{name}_") for name in earlier]
    # what stands there for all phases, less what the others took
    rest = dict(figures)
    for name in earlier:
        for figure in ("epochs", "seconds"):
            rest[figure] -= figures[f"{name}_{figure}"]
    return [*rows, _describe_phase("finetune", rest, "")]


def _describe_phase(name: str, figures: dict[str, float], prefix: str) -> dict[str, Any]:
    return {
        "name": _PHASES[name],
        "epochs": int(figures[f"{prefix}epochs"]),
        "seconds": format_duration(figures[f"{prefix}seconds"]),
        "rate": format_number(figures[f"{prefix}examples_per_second"]),
    }


def _find_ends(content: ReportContent, phases: list[dict[str, Any]]) -> list[float]:
    """The last step of each phase but the last; epochs run on from one to the next."""
    ends, epochs = [], 0
    for phase in phases[:-1]:
        epochs += phase["epochs"]
        steps = [row["step"] for row in content.history if "step" in row and row.get("epoch", 0) <= epochs]
        if not steps:
            return []
        ends.append(float(max(steps)))
    return ends


def _embed_sheet(png: bytes) -> str:
    """A sheet of pictures as JPEG: as PNG it is ten times as large."""
    from PIL import Image

    from kerasft.plots.pictures import build_data_uri

    with Image.open(io.BytesIO(png), formats=("PNG",)) as sheet:
        picture = sheet.convert("RGB")
    picture.thumbnail((_SHEET_PX, _SHEET_PX))
    return build_data_uri(picture)


def _format_fact(name: str, value: float) -> str:
    if name == "seconds":
        return format_duration(value)
    if name in ("padding_share", "learning_share"):
        return format_percent(value)
    if name == "peak_memory_mb":
        return f"{value:,.0f} MB"
    if name == "tokens_per_second":
        return f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) else format_number(value)

"""Numbers and names as a reader wants them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kerasft.metrics.figures import FigureKind
from kerasft.plots.style import shorten_label

_THIN = "\u202f"  # narrow no-break space

_NUMBER = re.compile(r"[+\-−]?[\d.,:/\s]*\d\s*%?")


def format_percent(value: float, digits: int = 1) -> str:
    """0.8864 → `88.6 %`; 100 % and 0 % only where it is exactly that."""
    text = f"{100 * value:.{0 if value in (0.0, 1.0) else digits}f}"
    if value < 1 and float(text) == 100:
        text = "> 99.9"
    elif value > 0 and float(text) == 0:
        text = "< 0.1"
    return f"{text}{_THIN}%"


def format_figure(kind: FigureKind, value: float) -> str:
    """A figure's value by its kind: percentage, count, or three decimals."""
    if kind.form == "share":
        return format_percent(value)
    if isinstance(value, int) or kind.form == "count":
        return f"{int(value):,}"
    return f"{value:.3f}" if kind.form == "number" else format_number(value)


def format_number(value: float) -> str:
    """Three digits, or whole."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def format_interval(kind: FigureKind, figure: Mapping[str, float]) -> str:
    """`87.1–90.0 %`, or an empty string where there is no interval."""
    if "low" not in figure or "high" not in figure:
        return ""
    low, high = (format_figure(kind, float(figure[end])) for end in ("low", "high"))
    if low.endswith("%") and high.endswith("%"):
        low = low.removesuffix(f"{_THIN}%")
    return f"{low}–{high}"


def quote_label(name: str, length: int = 60) -> str:
    """The label in quotes, isolated so that its writing direction stays its own."""
    return f"“\u2068{shorten_label(name, length)}\u2069”"


def name_label(name: str) -> str:
    """A label that stands beside numbers: in quotes where it is one itself."""
    return quote_label(name) if _NUMBER.fullmatch(name) else name


def format_duration(seconds: float) -> str:
    """`42 s`, `3 min 05 s`, `2 h 10 min`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def place_bar(figure: Mapping[str, float], start: float, stop: float) -> dict[str, float] | None:
    """Where value and interval lie between `start` and `stop`, in per cent; None without an interval."""
    if "low" not in figure or "high" not in figure or stop <= start:
        return None

    def place(value: float) -> float:
        return round(100 * min(max((value - start) / (stop - start), 0.0), 1.0), 2)

    low, high = place(figure["low"]), place(figure["high"])
    return {"low": low, "width": max(round(high - low, 2), 1.0), "value": place(figure["value"])}

"""The look that all figures share, and how they become PNG or SVG."""

from __future__ import annotations

import functools
import io
import re
import unicodedata
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec

import matplotlib
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

INK, MUTED, GRID, PAPER = "#1c2733", "#5b6875", "#dfe4ea", "#ffffff"
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY = "#0072b2", "#d55e00", "#009e73", "#b0568d", "#e69f00", "#56b4e9"
# Okabe and Ito's palette, told apart with any colour vision; the purple is darkened for thin lines on white.
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
SHADES = LinearSegmentedColormap.from_list("kerasft", ["#ffffff", "#d3e5f2", "#7fb5d9", "#2b7fb8", "#0b4f7f"])

# Tried in order, glyph by glyph, for labels in any script; those not installed are passed over.
_FONTS = (
    "DejaVu Sans",
    "Noto Sans",
    "Noto Sans CJK SC",
    "Noto Sans CJK JP",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Arial Unicode MS",
    "Noto Sans Arabic",
    "Noto Sans Hebrew",
    "Noto Sans Devanagari",
    "Noto Sans Thai",
)
_STYLE: dict[str, Any] = {
    "font.size": 10.0,
    "text.color": INK,
    "axes.edgecolor": "#9aa5b1",
    "axes.facecolor": PAPER,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 10.0,
    "axes.linewidth": 0.8,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    # Text stays text: browsers choose fonts for every script and shape it, and the file is small.
    "svg.fonttype": "none",
    "svg.hashsalt": "kerasft",
}
_NOT_FOR_XML = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]+")

Parameters = ParamSpec("Parameters")


@functools.cache
def _find_fonts() -> list[str]:
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in _FONTS if name in installed]


@functools.cache
def _build_style() -> Any:
    # Over matplotlib's own defaults, so that a user's matplotlibrc does not shine through.
    defaults = {name: value for name, value in matplotlib.rcParamsDefault.items() if "backend" not in name}
    return defaults | _STYLE | {"font.family": _find_fonts()}


def in_house_style(function: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Lets a function build its figure under the house style, whatever matplotlib is set to elsewhere."""

    @functools.wraps(function)
    def build(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with matplotlib.rc_context(_build_style()):
            return function(*args, **kwargs)

    return build


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, `width` × `height` inches, whose parts make room for each other."""
    return Figure(figsize=(width, height), layout="constrained")


def build_percent_formatter() -> PercentFormatter:
    """Ticks of shares, 0.8 → `80 %`."""
    return PercentFormatter(1.0, decimals=0, symbol="\u202f%")


def draw_grid(axes: Axes, axis: str = "y") -> None:
    """Thin lines behind the data, along `x`, `y` or `both`."""
    axes.grid(True, axis=axis)  # type: ignore[arg-type]


def shorten_label(text: str, length: int = 28) -> str:
    """One line of at most `length` characters that any renderer takes: controls dropped, the end cut with `…`."""
    text = " ".join(_NOT_FOR_XML.sub(" ", str(text)).split()) or "∅"
    if len(text) <= length:
        return text
    end = length - 1
    while end > 1 and unicodedata.combining(text[end]):
        end -= 1
    return text[:end].rstrip() + "…"


def _save(figure: Figure, **options: Any) -> bytes:
    buffer = io.BytesIO()
    with matplotlib.rc_context(_build_style()), warnings.catch_warnings():
        # Without a font for a script, PNG shows boxes, and SVG leaves it to the browser: no reason to stop or shout.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, **options)
    return buffer.getvalue()


def figure_to_png(figure: Figure, dpi: int = 110) -> bytes:
    """The figure as a PNG file's bytes, `dpi` pixels an inch."""
    return _save(figure, format="png", dpi=dpi)


def figure_to_svg(figure: Figure, *, min_scale: float = 0.0) -> str:
    """The figure as one `<svg>` element to put into HTML.

    It shrinks with its container and never grows, holds its text as text, names neither dates nor versions, and is
    the same for the same figure. Ids are kept only where something refers to them.

    Args:
        figure: what to draw.
        min_scale: how far it may shrink, as a share of its own size; its container has to scroll below that.
    """
    text = _save(figure, format="svg", metadata={"Date": None, "Creator": None}).decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = re.sub(r' (width|height)="[\d.]+pt"', "", text, count=2)
    width = figure.get_figwidth() * 96
    style = f"width:{width:.0f}px;max-width:100%;min-width:{width * min_scale:.0f}px;height:auto"
    return text.replace("<svg", f'<svg role="img" style="{style}"', 1)

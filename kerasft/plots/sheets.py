"""Contact sheets of pictures, and labels drawn onto pictures, in any script that a font is there for."""

from __future__ import annotations

import functools
import io
import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from kerasft.plots.style import INK, PAPER, figure_to_png, in_house_style, shorten_label

_CELL_INCHES = 1.9
_TITLE_INCHES, _GAP_INCHES, _LEGEND_INCHES = 0.17, 0.12, 0.26
_LINE_CHARACTERS = 27
_FRAME_POINTS = 3.0
_LEAST_LETTER_PX, _MOST_LETTER_PX = 11.0, 96.0
_WIDEST_LETTERS, _MOST_CHARACTERS = 12, 200
_DOTS_AN_INCH = 100
_BOXES = "Last Resort"  # a font of matplotlib that has a box for every character there is


@in_house_style
def build_picture_sheet(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    columns: int = 6,
    colours: Sequence[str | None] | None = None,
    heading: str | None = None,
    cell_inches: float = _CELL_INCHES,
    legend: Mapping[str, str] | None = None,
) -> Figure:
    """Pictures side by side, each with what is to be said of it below: augmented examples, or the worst mistakes.

    Pictures keep their proportions; small ones are enlarged without smoothing, so that their pixels can be seen.

    Args:
        pictures: uint8, or float in 0..255, (height, width, 3) or (height, width), each of its own size.
        titles: one a picture; lines are split at `\\n` and shortened one by one.
        columns: pictures a row.
        colours: of the frame around each picture, such as `style.VERMILION` for a wrong one; None draws none.
        heading: a line above all.
        cell_inches: the longer side of each picture.
        legend: name → colour, as they are used in the pictures; a line below the heading.

    Raises:
        ValueError: there are not as many titles, or colours, as pictures.
    """
    frames = list(colours) if colours is not None else [None] * len(pictures)
    if not len(pictures) == len(titles) == len(frames):
        raise ValueError(f"{len(pictures)} pictures, {len(titles)} titles, {len(frames)} colours")
    columns = max(min(columns, len(pictures)), 1)
    images = [to_picture(picture) for picture in pictures]
    length = int(_LINE_CHARACTERS * cell_inches / _CELL_INCHES)
    lines = [[shorten_label(line, length) for line in title.split("\n")] for title in titles]
    below = _TITLE_INCHES * max((len(title) for title in lines), default=1) + 0.1
    starts = range(0, len(images), columns)
    # a row is as high as its highest picture
    rows = [
        max(_find_size(image, cell_inches)[1] for image in images[start : start + columns])
        for start in starts
    ]
    top = (0.42 if heading else _GAP_INCHES) + (_LEGEND_INCHES if legend else 0.0)
    width = columns * (cell_inches + _GAP_INCHES) + _GAP_INCHES
    height = top + sum(rows) + max(len(rows), 1) * (below + _GAP_INCHES)
    figure = Figure(figsize=(width, height))
    if heading:
        look: dict[str, Any] = {"va": "top", "fontsize": 11.0, "fontweight": "bold", "parse_math": False}
        figure.text(_GAP_INCHES / width, 1.0 - 0.14 / height, shorten_label(heading, 100), **look)
    if legend:
        _draw_legend(figure, legend, top)
    for place, (image, title, colour) in enumerate(zip(images, lines, frames, strict=True)):
        row, column = divmod(place, columns)
        middle = _GAP_INCHES + column * (cell_inches + _GAP_INCHES) + cell_inches / 2
        bottom = height - top - sum(rows[: row + 1]) - row * (below + _GAP_INCHES)
        size = _find_size(image, cell_inches)
        _draw_cell(figure, (middle, bottom), size, image, "\n".join(title), colour)
    return figure


def _find_size(image: Image.Image, cell_inches: float) -> tuple[float, float]:
    """Width and height on a sheet, in inches."""
    scale = cell_inches / max(image.size)
    return image.width * scale, image.height * scale


def _draw_legend(figure: Figure, legend: Mapping[str, str], foot: float) -> None:
    """Names with their colours, the line's lower edge `foot` inches below the figure's upper one."""
    height = figure.get_figheight()
    handles = [Patch(color=colour, label=shorten_label(name)) for name, colour in legend.items()]
    figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0 - foot / height),
        bbox_transform=figure.transFigure,
        ncols=len(handles),
        handlelength=1.0,
        handleheight=1.0,
        columnspacing=1.4,
        borderpad=0.3,
        prop={"family": _find_families("".join(legend)), "size": 9.0},
    )


def _draw_cell(
    figure: Figure,
    foot: tuple[float, float],
    size: tuple[float, float],
    image: Image.Image,
    title: str,
    colour: str | None,
) -> None:
    """One picture and its title; `foot` is the middle of the picture's lower edge, `size` its width and height, in
    inches."""
    figure_width, figure_height = figure.get_size_inches()
    width, height = size
    place = (
        (foot[0] - width / 2) / figure_width,
        foot[1] / figure_height,
        width / figure_width,
        height / figure_height,
    )
    axes = figure.add_axes(place)
    axes.imshow(image, interpolation="antialiased", aspect="auto")
    axes.set_axis_off()
    if colour is not None:
        outline: dict[str, Any] = {"fill": False, "edgecolor": colour, "linewidth": _FRAME_POINTS}
        axes.add_patch(Rectangle((0, 0), 1, 1, transform=axes.transAxes, clip_on=False, **outline))
    look: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8.5, "linespacing": 1.25}
    look |= {"family": _find_families(title)}
    position = foot[0] / figure_width, (foot[1] - 0.07) / figure_height
    figure.text(*position, title, color=colour or INK, parse_math=False, **look)


def draw_label(
    picture: Image.Image | np.ndarray,
    text: str,
    detail: str = "",
    *,
    colour: str = INK,
    text_colour: str = PAPER,
) -> Image.Image:
    """A copy of a picture with a bar of text below it; no pixel of the picture is covered.

    Letters grow with the picture, from 11 to 96 pixels. A picture that is too narrow to read anything below it is put
    on a wider ground; what then is still too long is cut off the end of `text`, never off `detail`.

    Characters come from the first font that has them: DejaVu Sans, which comes with matplotlib, then the house style's
    for Chinese, Japanese, Arabic and others, then any that is installed. One that no font has is a box:
    `find_missing_glyphs` names them beforehand.

    Args:
        picture: an image, or uint8 or float in 0..255, (height, width, 3) or (height, width).
        text: on the left, such as a label's name.
        detail: on the right, such as its probability.
        colour: the bar's.
        text_colour: the letters'.

    Returns:
        An RGB image, at least as large as the picture.
    """
    picture = to_picture(picture)
    letter = float(np.clip(min(picture.size) / 14, _LEAST_LETTER_PX, _MOST_LETTER_PX))
    figure = _build_bar(text, detail, picture.width, letter, colour, text_colour)
    bar = Image.open(io.BytesIO(figure_to_png(figure, dpi=_DOTS_AN_INCH))).convert("RGB")
    canvas = Image.new("RGB", (bar.width, picture.height + bar.height), colour)
    canvas.paste(picture, ((bar.width - picture.width) // 2, 0))
    canvas.paste(bar, (0, picture.height))
    return canvas


@in_house_style
def _build_bar(
    text: str, detail: str, least_width: int, letter: float, colour: str, text_colour: str
) -> Figure:
    """The bar, as wide as the picture or as its text needs, up to `_WIDEST_LETTERS`."""
    figure = Figure(dpi=_DOTS_AN_INCH, facecolor=colour)
    look: dict[str, Any] = {"va": "center_baseline", "color": text_colour, "parse_math": False}
    look |= {"fontsize": letter * 72 / _DOTS_AN_INCH}
    look |= {"family": _find_families(text + detail)}
    name = figure.text(0, 0.5, shorten_label(text, _MOST_CHARACTERS), ha="left", **look)
    value = figure.text(1, 0.5, shorten_label(detail, _MOST_CHARACTERS) if detail else "", ha="right", **look)
    margin = letter * 0.6
    taken = 2 * margin + (value.get_window_extent().width + letter if detail else 0.0)
    natural = taken + name.get_window_extent().width
    width = max(least_width, math.ceil(min(natural, max(letter * _WIDEST_LETTERS, taken + 4 * letter))))
    length = len(name.get_text())
    while length > 1 and name.get_window_extent().width > width - taken:
        length -= 1
        name.set_text(shorten_label(text, length))
    figure.set_size_inches(width / _DOTS_AN_INCH, round(letter * 1.9) / _DOTS_AN_INCH)
    name.set_x(margin / width)
    value.set_x(1.0 - margin / width)
    return figure


def find_missing_glyphs(text: str) -> str:
    """The characters of a text that no installed font has, each once: drawn, they are boxes.

    With Debian's `fonts-noto-cjk`, say, Chinese, Japanese and Korean are there.
    """
    return "".join(dict.fromkeys(c for c in _list_drawn(text) if find_font(c) is None))


def _find_families(text: str) -> list[str]:
    """The house style's families, then what else it takes to draw a text: boxes come last."""
    found = {find_font(character) for character in _list_drawn(text)}
    others = sorted(name for name in found if name)
    boxes = [font.name for font in font_manager.fontManager.ttflist if font.name.startswith(_BOXES)]
    families = [*matplotlib.rcParams["font.family"], *others, *(boxes if None in found else [])]
    return list(dict.fromkeys(families))


def _list_drawn(text: str) -> list[str]:
    return [c for c in text if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp")]


@functools.cache
def find_font(character: str) -> str | None:
    """The first family that has a character: matplotlib's own, then any other."""
    own = font_manager.findfont("DejaVu Sans")
    if ord(character) in _read_characters(own):
        return "DejaVu Sans"
    fonts = [font for font in font_manager.fontManager.ttflist if not font.name.startswith(_BOXES)]
    return next((font.name for font in fonts if ord(character) in _read_characters(font.fname)), None)


@functools.cache
def _read_characters(path: str) -> frozenset[int]:
    try:
        return frozenset(font_manager.get_font(path).get_charmap())
    except (OSError, RuntimeError):
        # a font that cannot be read has nothing to offer
        return frozenset()


def to_picture(picture: Image.Image | np.ndarray) -> Image.Image:
    """An RGB image of pixels in 0..255, (height, width, 3) or (height, width), or of an image of any mode."""
    if isinstance(picture, Image.Image):
        return picture.convert("RGB")
    values = np.clip(np.round(np.asarray(picture)), 0, 255).astype(np.uint8)
    if values.ndim == 3 and values.shape[-1] == 1:
        values = values[..., 0]
    return Image.fromarray(values).convert("RGB")

"""Writes onto pictures, in any script that a font is there for."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator

from matplotlib import font_manager
from PIL import ImageDraw, ImageFont

from kerasft.plots.sheets import find_font


def measure_text(text: str, size_px: float) -> tuple[int, int]:
    """Width and height in pixels of one line; the height is the same whatever the letters."""
    width = sum(font.getlength(run) for font, run in _cut_runs(text, round(size_px)))
    return round(width), round(1.3 * size_px)


def write_text(
    draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size_px: float, colour: str
) -> None:
    """Writes one line.

    Args:
        draw: of the picture.
        place: the upper left corner of what `measure_text` measures.
        text: characters that no font has become boxes.
        size_px: the letters' height.
        colour: theirs.
    """
    x, baseline = place[0], place[1] + 1.02 * size_px
    for font, run in _cut_runs(text, round(size_px)):
        draw.text((x, baseline), run, fill=colour, font=font, anchor="ls")
        x += font.getlength(run)


def _cut_runs(text: str, size_px: int) -> Iterator[tuple[ImageFont.FreeTypeFont, str]]:
    """Pieces of a text, each with a font that has its characters."""
    for family, characters in itertools.groupby(
        text, lambda character: find_font(character) or "DejaVu Sans"
    ):
        yield _load_font(family, size_px), "".join(characters)


@functools.lru_cache(maxsize=64)
def _load_font(family: str, size_px: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont(family), max(size_px, 1))

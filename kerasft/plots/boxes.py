"""Boxes drawn onto pictures, with their classes and scores: on one picture, on gold beside answers, on sheets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from kerasft.plots.box_canvas import (
    BoxCanvas,
    ShownBox,
    assign_colours,
    choose_letter,
    count_classes,
    put_legend_below,
    scale_box,
)
from kerasft.plots.letters import measure_text, write_text
from kerasft.plots.sheets import build_picture_sheet, to_picture
from kerasft.plots.style import INK, MUTED, PAPER

_ENLARGED_PX = 512
"""A smaller picture is enlarged up to this, so that there is room for letters."""
_SHEET_PX, _SHEET_LINE_PX = 640, 5
"""The longer side of pictures on a sheet, and how thick their lines are: they are drawn at half of that."""
_LEGEND_CLASSES = 12


def draw_boxes(
    picture: Image.Image | np.ndarray,
    boxes: Sequence[ShownBox],
    class_names: Sequence[str],
    *,
    named: bool = True,
    legend: bool = True,
    scale: float = 1.0,
) -> Image.Image:
    """A copy of a picture with boxes, their names and scores drawn on it.

    Each class has its colour, with a dark edge, so that it is seen on any ground. A name stands where it covers neither
    another name nor another box; where there is no such place it is left out, and the colour tells the class: the
    legend below says which, and how many there are. A picture with sides below 256 pixels is enlarged a whole number of
    times, without smoothing.

    Args:
        picture: an image, or uint8 or float in 0..255, (height, width, 3) or (height, width).
        boxes: in its pixels; what reaches beyond it is drawn along its edge.
        class_names: all classes, by which colours are chosen.
        named: whether names and scores are written on the picture.
        legend: whether there is a line below it with the classes and how many boxes each has.
        scale: the picture's pixels for each of those that boxes are given in, see `pictures.get_scale`.

    Returns:
        An RGB image: as wide as the picture, or a multiple of it, and as high with the legend below.
    """
    image = to_picture(picture)
    factor = max(_ENLARGED_PX // max(image.size), 1)
    if factor > 1:
        image = image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    canvas = BoxCanvas(image, class_names)
    scaled = [scale_box(box, factor * scale) for box in boxes]
    canvas.draw(scaled, named=named)
    if not legend:
        return canvas.image
    return put_legend_below(canvas.image, [boxes], class_names, choose_letter(image.size))


def draw_gold_beside(
    picture: Image.Image | np.ndarray,
    gold: Sequence[ShownBox],
    found: Sequence[ShownBox],
    class_names: Sequence[str],
    *,
    captions: tuple[str, str] = ("labelled", "found"),
    named: bool = True,
    scale: float = 1.0,
) -> Image.Image:
    """What is true of a picture on the left, what a model found on the right, and one legend below.

    Args:
        picture, class_names, named, scale: see `draw_boxes`.
        gold: the true boxes.
        found: the answers.
        captions: what stands above the two.
    """
    halves = [
        draw_boxes(picture, boxes, class_names, named=named, legend=False, scale=scale)
        for boxes in (gold, found)
    ]
    letter = choose_letter(halves[0].size)
    gap, head = round(letter * 0.6), measure_text("", letter)[1] + round(letter * 0.4)
    width, height = halves[0].size
    joined = Image.new("RGB", (2 * width + gap, height + head), PAPER)
    for place, (half, caption, boxes) in enumerate(zip(halves, captions, (gold, found), strict=True)):
        left = place * (width + gap)
        joined.paste(half, (left, head))
        draw = ImageDraw.Draw(joined)
        write_text(draw, (left, round(letter * 0.2)), f"{caption}: {len(boxes)}", letter, INK)
    return put_legend_below(joined, [gold, found], class_names, letter)


def build_box_sheet(
    pictures: Sequence[Image.Image | np.ndarray],
    boxes: Sequence[Sequence[ShownBox]],
    titles: Sequence[str],
    class_names: Sequence[str],
    *,
    columns: int = 4,
    heading: str | None = None,
) -> Figure:
    """Pictures side by side with their boxes, in the colours of their classes; a legend says which is which.

    Args:
        pictures: see `draw_boxes`; each of its own size.
        boxes: of each.
        titles: what stands below each.
        class_names: all classes.
        columns: pictures a row.
        heading: a line above all.
    """
    drawn = []
    for picture, its in zip(pictures, boxes, strict=True):
        image = to_picture(picture)
        factor = _SHEET_PX / max(image.size)
        size = max(round(image.width * factor), 1), max(round(image.height * factor), 1)
        canvas = BoxCanvas(image.resize(size, Image.Resampling.BICUBIC), class_names, _SHEET_LINE_PX)
        canvas.draw([scale_box(box, factor) for box in its], named=False)
        drawn.append(np.asarray(canvas.image))
    legend = _choose_legend((box for its in boxes for box in its), class_names)
    return build_picture_sheet(
        drawn, titles, columns=columns, heading=heading, cell_inches=2.9, legend=legend
    )


def build_gold_sheet(
    pairs: Sequence[Image.Image], titles: Sequence[str], *, heading: str | None = None
) -> Figure:
    """Pictures of `draw_gold_beside` below one another, two a row."""
    return build_picture_sheet(
        [np.asarray(pair) for pair in pairs], titles, columns=2, heading=heading, cell_inches=6.0
    )


def describe_counts(boxes: Iterable[ShownBox], class_names: Sequence[str]) -> str:
    """`RBC 13, WBC 1`: how many boxes each class has, in the classes' order; `no boxes` where there are none."""
    return ", ".join(f"{name} {count}" for name, count in count_classes(boxes, class_names)) or "no boxes"


def _choose_legend(boxes: Iterable[ShownBox], class_names: Sequence[str]) -> dict[str, str]:
    """The colours of the most frequent classes, in the classes' order."""
    counts = sorted(count_classes(boxes, class_names), key=lambda pair: -pair[1])
    shown = {name for name, _ in counts[:_LEGEND_CLASSES]}
    colours = assign_colours(class_names)
    legend = {name: colours.get(name, MUTED) for name in [*class_names, *sorted(shown - set(class_names))]}
    return {name: colour for name, colour in legend.items() if name in shown}

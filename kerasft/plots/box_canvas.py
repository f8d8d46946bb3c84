"""A picture that boxes, their names and a legend are drawn on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from kerasft.plots.colours import choose_class_colours, choose_text_colour
from kerasft.plots.letters import measure_text, write_text
from kerasft.plots.style import INK, MUTED, PAPER, shorten_label

_LEAST_LETTER_PX, _MOST_LETTER_PX = 11.0, 48.0
_FILL_OPACITY = 0.3
_MOST_COVERED = 0.12
"""The share of a name that may lie on another, or the share of another box that a name may cover."""
_NAME_CHARACTERS = 24
_LETTERS_A_BOX = 5.0


class ShownBox(NamedTuple):
    """A box to be drawn."""

    left: float
    """Of all sides: pixels from the picture's upper left corner."""
    top: float
    right: float
    bottom: float
    name: str
    """Its class."""
    score: float | None = None
    filled: bool = False
    """It draws the eye: what is wrong with it is told beside the picture."""
    dashed: bool = False
    """It does not count: a crowd, or a place that is ignored."""


def make_box(
    sides: Sequence[float],
    name: str,
    *,
    score: float | None = None,
    filled: bool = False,
    dashed: bool = False,
) -> ShownBox:
    """The box with these sides: left, top, right, bottom."""
    left, top, right, bottom = sides
    return ShownBox(left, top, right, bottom, name, score, filled, dashed)


def count_classes(boxes: Iterable[ShownBox], class_names: Sequence[str]) -> list[tuple[str, int]]:
    """How many boxes each class has that has any, in the classes' order."""
    counts = Counter(box.name for box in boxes)
    known = [name for name in class_names if name in counts]
    return [(name, counts[name]) for name in [*known, *sorted(counts.keys() - set(known))]]


def assign_colours(class_names: Sequence[str]) -> dict[str, str]:
    """Each class's colour, `#rrggbb`."""
    return dict(zip(class_names, choose_class_colours(len(class_names)), strict=True))


def scale_box(box: ShownBox, factor: float) -> ShownBox:
    """The box in a picture that is so many times as large."""
    return box._replace(
        left=box.left * factor, top=box.top * factor, right=box.right * factor, bottom=box.bottom * factor
    )


def choose_letter(size: tuple[int, int]) -> float:
    """The height of letters, in pixels, for a picture of this size."""
    return float(np.clip(min(size) / 34, _LEAST_LETTER_PX, _MOST_LETTER_PX))


class _Rectangle(NamedTuple):
    """Whole pixels; right and bottom are the first ones past it."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        return max(self.right - self.left, 0) * max(self.bottom - self.top, 0)

    def cross(self, other: _Rectangle) -> int:
        """The area of what both cover."""
        return _Rectangle(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).area


def _cross(one: _Rectangle, others: np.ndarray) -> np.ndarray:
    """The area that a rectangle shares with each of others, int (n, 4): int (n,)."""
    widths = np.minimum(one.right, others[:, 2]) - np.maximum(one.left, others[:, 0])
    heights = np.minimum(one.bottom, others[:, 3]) - np.maximum(one.top, others[:, 1])
    return np.maximum(widths, 0) * np.maximum(heights, 0)


class BoxCanvas:
    """A picture that is drawn on.

    Args:
        image: RGB; drawn on a copy.
        class_names: all classes.
        line: the thickness of lines in pixels; by default the picture's size says.
    """

    def __init__(self, image: Image.Image, class_names: Sequence[str], line: int | None = None):
        self.image = image.copy()
        self._names, self._colours = class_names, assign_colours(class_names)
        self._line = line or max(round(min(image.size) / 200), 2)

    def draw(self, boxes: Sequence[ShownBox], *, named: bool) -> None:
        """Draws boxes, the largest first, and then their names."""
        placed = [(box, self._fit(box)) for box in boxes]
        placed.sort(key=lambda pair: -pair[1].area)
        self._fill([pair for pair in placed if pair[0].filled])
        draw = ImageDraw.Draw(self.image)
        for box, rectangle in placed:
            self._outline(draw, rectangle, self._find_colour(box), box.dashed)
        if named:
            self._write_names(draw, placed)

    def _find_colour(self, box: ShownBox) -> str:
        return self._colours.get(box.name, MUTED)

    def _fit(self, box: ShownBox) -> _Rectangle:
        """A box inside of the picture, at least as large as its line is thick."""
        width, height = self.image.size
        left, right = (round(float(np.clip(side, 0, width))) for side in (box.left, box.right))
        top, bottom = (round(float(np.clip(side, 0, height))) for side in (box.top, box.bottom))
        least = self._line + 1
        left, top = max(min(left, width - least), 0), max(min(top, height - least), 0)
        return _Rectangle(left, top, max(right, left + least), max(bottom, top + least))

    def _fill(self, placed: Sequence[tuple[ShownBox, _Rectangle]]) -> None:
        for box, rectangle in placed:
            part = self.image.crop(rectangle)
            colour = Image.new("RGB", part.size, self._find_colour(box))
            self.image.paste(Image.blend(part, colour, _FILL_OPACITY), rectangle[:2])

    def _outline(self, draw: ImageDraw.ImageDraw, rectangle: _Rectangle, colour: str, dashed: bool) -> None:
        left, top, right, bottom = rectangle.left, rectangle.top, rectangle.right - 1, rectangle.bottom - 1
        if dashed:
            self._outline_dashed(draw, (left, top, right, bottom), colour)
            return
        # Pillow draws inwards: a dark line on either side of the coloured one
        draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=INK, width=self._line + 2)
        draw.rectangle((left, top, right, bottom), outline=colour, width=self._line)

    def _outline_dashed(
        self, draw: ImageDraw.ImageDraw, corners: tuple[int, int, int, int], colour: str
    ) -> None:
        left, top, right, bottom = corners
        dash, line = 5 * self._line, self._line
        for ink, grow in ((INK, 1), (colour, 0)):
            for x in range(left, right + 1, 2 * dash):
                end = min(x + dash, right)
                for y in (top, bottom - line + 1):
                    draw.rectangle((x - grow, y - grow, end + grow, y + line - 1 + grow), fill=ink)
            for y in range(top, bottom + 1, 2 * dash):
                end = min(y + dash, bottom)
                for x in (left, right - line + 1):
                    draw.rectangle((x - grow, y - grow, x + line - 1 + grow, end + grow), fill=ink)

    def _write_names(self, draw: ImageDraw.ImageDraw, placed: Sequence[tuple[ShownBox, _Rectangle]]) -> None:
        """Names of the surest boxes first: they find the best places."""
        edges = np.array([rectangle for _, rectangle in placed], np.int64).reshape(-1, 4)
        taken = np.zeros_like(edges)  # nothing yet: of no area
        letter = choose_letter(self.image.size)
        if placed:
            # names are not much wider than boxes, so that many small ones have room
            width = float(np.median([rectangle.right - rectangle.left for _, rectangle in placed]))
            letter = min(letter, max(width / _LETTERS_A_BOX, _LEAST_LETTER_PX))
        order = sorted(range(len(placed)), key=lambda place: -(placed[place][0].score or 0.0))
        for place in order:
            box, rectangle = placed[place]
            others = np.delete(edges, place, axis=0)
            name = shorten_label(box.name, _NAME_CHARACTERS)
            texts = [name] if box.score is None else [f"{name} {box.score:.2f}", f"{box.score:.2f}"]
            for text in texts:
                ground = self._find_place(rectangle, text, letter, taken, others)
                if ground is not None:
                    taken[place] = ground
                    colour = self._find_colour(box)
                    draw.rectangle(
                        (ground.left, ground.top, ground.right - 1, ground.bottom - 1), fill=colour
                    )
                    start = ground.left + round(letter * 0.25), ground.top
                    write_text(draw, start, text, letter, choose_text_colour(colour))
                    break

    def _find_place(
        self,
        box: _Rectangle,
        text: str,
        letter: float,
        taken: np.ndarray,
        others: np.ndarray,
    ) -> _Rectangle | None:
        """Where a box's name covers nothing; None where there is no such place.

        Args:
            box: the name's.
            text: the name.
            letter: the letters' height in pixels.
            taken: int (n, 4), other names.
            others: int (n, 4), other boxes.
        """
        width, height = measure_text(text, letter)
        width += round(letter * 0.5)
        if width > self.image.width or height > self.image.height:
            return None
        for x, y in (
            (box.left, box.top - height),
            (box.left, box.top),
            (box.left, box.bottom),
            (box.right - width, box.top - height),
            (box.right - width, box.bottom),
            (box.left, box.bottom - height),
            (box.right, box.top),
            (box.left - width, box.top),
        ):
            left = min(max(x, 0), self.image.width - width)
            top = min(max(y, 0), self.image.height - height)
            ground = _Rectangle(left, top, left + width, top + height)
            small = box.area < 3 * ground.area and ground.cross(box) > _MOST_COVERED * box.area
            covers = _cross(ground, taken) > _MOST_COVERED * ground.area
            hides = _cross(ground, others) > _MOST_COVERED * np.prod(others[:, 2:] - others[:, :2], axis=1)
            if not (small or covers.any() or hides.any()):
                return ground
        return None


def put_legend_below(
    image: Image.Image, groups: Sequence[Sequence[ShownBox]], class_names: Sequence[str], letter: float
) -> Image.Image:
    """A picture with a line below: each class with its colour, and how many boxes it has in each group.

    Args:
        image: RGB; one that is too narrow for an entry is put on a wider ground.
        groups: the boxes, such as gold ones and answers.
        class_names: all classes.
        letter: the letters' height in pixels.
    """
    counts = [dict(count_classes(group, class_names)) for group in groups]
    named = count_classes([box for group in groups for box in group], class_names)
    colours = assign_colours(class_names)
    entries: list[tuple[str | None, str]] = [
        (
            colours.get(name, MUTED),
            f"{shorten_label(name)}: {' | '.join(str(group.get(name, 0)) for group in counts)}",
        )
        for name, _ in named
    ]
    return _put_below(image, entries or [(None, "no boxes")], letter)


def _put_below(image: Image.Image, entries: Sequence[tuple[str | None, str]], letter: float) -> Image.Image:
    """Entries in as many lines as it takes, each behind a square of its colour."""
    margin, square = round(letter * 0.6), round(letter * 0.8)
    widths = [
        measure_text(text, letter)[0] + (square + margin // 2 if colour else 0) for colour, text in entries
    ]
    whole = max(image.width, max(widths) + 2 * margin)
    places: list[tuple[int, int]] = []
    x, line = margin, 0
    for width in widths:
        if x > margin and x + width > whole - margin:
            x, line = margin, line + 1
        places.append((x, line))
        x += width + 2 * margin
    step = measure_text("", letter)[1] + round(letter * 0.2)
    canvas = Image.new("RGB", (whole, image.height + (line + 1) * step + margin), PAPER)
    canvas.paste(image, ((whole - image.width) // 2, 0))
    draw = ImageDraw.Draw(canvas)
    for (colour, text), (x, line) in zip(entries, places, strict=True):
        top = image.height + margin // 2 + line * step
        if colour:
            middle = top + round(letter * 0.65)
            draw.rectangle((x, middle - square // 2, x + square - 1, middle + square // 2), fill=colour)
            x += square + margin // 2
        write_text(draw, (x, top), text, letter, INK)
    return canvas

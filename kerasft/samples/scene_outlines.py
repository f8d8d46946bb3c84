"""Outlines of drawn scenes' objects: sixteen shapes as polygons, each with chance in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

NEUTRAL = 128
"""The tone of a part that is as light as the rest."""


class Part(NamedTuple):
    """One polygon of a shape; later ones lie over earlier ones."""

    points: np.ndarray
    """float64 (points, 2): x to the right, y down; the shape is about as wide as the circle of radius 1."""
    kind: str = "body"
    """`body` adds to the shape, `stalk` as well in a stem's colour, `hole` takes away; `detail` (a colour of its
    own) and `shade` (a tone alone) add nothing."""
    tone: int = NEUTRAL


Outline = Callable[[np.random.Generator], list[Part]]


def _points(*pairs: tuple[float, float]) -> np.ndarray:
    return np.array(pairs, np.float64)


def _ellipse(
    x: float, y: float, across: float, along: float, degrees: float = 0.0, count: int = 36
) -> np.ndarray:
    turns = [2 * math.pi * i / count for i in range(count)]
    points = np.array([(across * math.cos(turn), along * math.sin(turn)) for turn in turns])
    return turn_points(points, degrees) + np.array((x, y))


def turn_points(points: np.ndarray, degrees: float) -> np.ndarray:
    """Turns points about 0, clockwise as seen (y is down)."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = points[:, 0], points[:, 1]
    return np.stack((x * cosine - y * sine, x * sine + y * cosine), axis=1)


def _petal(length: float, width: float, degrees: float, fullness: float, start: float = 0.0) -> np.ndarray:
    """A petal from the middle outwards; `fullness` is where along it it is widest, in (0, 1)."""
    shape = ((0.0, 0.25), (0.35, 0.75), (0.7, 0.97), (1.0, 1.0), (1.25, 0.9), (1.5, 0.6), (1.65, 0.28))
    side = [
        (
            start
            + (length - start) * (t * fullness if t <= 1 else fullness + (t - 1) / 0.7 * (1 - fullness)),
            w * width,
        )
        for t, w in shape
    ]
    return turn_points(_points(*side, (length, 0.0), *((x, -y) for x, y in reversed(side))), degrees)


def _ball(generator: np.random.Generator) -> list[Part]:
    return [Part(_ellipse(0, 0, 0.9, 0.9 * generator.uniform(0.88, 1.0)))]


def _ring(generator: np.random.Generator) -> list[Part]:
    inner = generator.uniform(0.4, 0.68)
    return [Part(_ellipse(0, 0, 0.95, 0.95)), Part(_ellipse(0, 0, inner, inner), "hole")]


def _crate(generator: np.random.Generator) -> list[Part]:
    width, height = 0.8, 0.8 * generator.uniform(0.65, 1.0)
    parts = [Part(_points((-width, -height), (width, -height), (width, height), (-width, height)))]
    style = generator.random()
    border = generator.uniform(0.1, 0.2)
    if style < 0.5:
        x, y = width - border, height - border
        parts.append(
            Part(_points((-x, -y), (x, -y), (x, y), (-x, y)), "shade", generator.choice((90, 108, 150)))
        )
    if style < 0.25:
        half = border * 0.7
        parts.append(Part(_points((-x, y - half), (x - half, -y), (x, -y + half), (-x + half, y)), "shade"))
    return parts


def _wedge(generator: np.random.Generator) -> list[Part]:
    top = generator.uniform(-0.5, 0.5)
    return [Part(_points((top, -0.85), (0.9, 0.75), (-0.9, 0.75)))]


def _star(generator: np.random.Generator) -> list[Part]:
    count = int(generator.integers(5, 8))
    inner = generator.uniform(0.36, 0.55)
    turns = [math.pi * i / count - math.pi / 2 for i in range(2 * count)]
    return [
        Part(
            _points(
                *(
                    ((1, inner)[i % 2] * math.cos(t), (1, inner)[i % 2] * math.sin(t))
                    for i, t in enumerate(turns)
                )
            )
        )
    ]


def _cross(generator: np.random.Generator) -> list[Part]:
    half = generator.uniform(0.18, 0.34)
    upper = generator.uniform(0.65, 0.95)
    across = _points((-0.9, -half), (0.9, -half), (0.9, half), (-0.9, half))
    return [Part(across), Part(_points((-half, -upper), (half, -upper), (half, 0.95), (-half, 0.95)))]


def _heart(generator: np.random.Generator) -> list[Part]:
    turns = [2 * math.pi * i / 40 for i in range(40)]
    height = generator.uniform(0.85, 1.1)
    return [
        Part(
            _points(
                *(
                    (
                        0.95 * math.sin(t) ** 3,
                        height
                        * (-13 * math.cos(t) + 5 * math.cos(2 * t) + 2 * math.cos(3 * t) + math.cos(4 * t))
                        / 17
                        - 0.1,
                    )
                    for t in turns
                )
            )
        )
    ]


def _crescent(generator: np.random.Generator) -> list[Part]:
    inner = generator.uniform(0.68, 0.82)
    return [
        Part(_ellipse(0, 0, 0.95, 0.95)),
        Part(_ellipse(generator.uniform(0.42, 0.55), 0, inner, inner), "hole"),
    ]


def _blossom(generator: np.random.Generator) -> list[Part]:
    """Few broad petals."""
    count = int(generator.integers(4, 8))
    width, fullness = generator.uniform(0.85, 1.15) * 1.9 / count, generator.uniform(0.5, 0.75)
    parts = [
        Part(
            _petal(generator.uniform(0.88, 1.0), width, 360 * i / count, fullness),
            tone=int(generator.integers(108, 146)),
        )
        for i in range(count)
    ]
    middle = generator.uniform(0.14, 0.28)
    return [*parts, Part(_ellipse(0, 0, middle, middle), "detail", int(generator.integers(100, 150)))]


def _daisy(generator: np.random.Generator) -> list[Part]:
    """Many thin petals, in one or two rows, about a middle that may be large."""
    count = int(generator.integers(11, 22))
    middle = generator.uniform(0.22, 0.5)
    width, fullness = generator.uniform(0.55, 1.0) * 2.6 / count, generator.uniform(0.5, 0.85)
    parts = []
    for row in range(int(generator.integers(1, 3)) - 1, -1, -1):
        for i in range(count):
            degrees = 360 * (i + row / 2) / count + generator.uniform(-5, 5)
            length = generator.uniform(0.86, 1.0)
            parts.append(
                Part(
                    _petal(length, width, degrees, fullness, 0.1),
                    tone=int(generator.integers(104, 146)) - 20 * row,
                )
            )
    parts.append(Part(_ellipse(0, 0, middle, middle), "detail", int(generator.integers(90, 140))))
    if generator.random() < 0.5:
        inner = middle * generator.uniform(0.4, 0.7)
        parts.append(Part(_ellipse(0, 0, inner, inner), "detail", int(generator.integers(80, 170))))
    return parts


def _tulip(generator: np.random.Generator) -> list[Part]:
    """A cup of three petals on a stem with a leaf."""
    spread, waist = generator.uniform(0.42, 0.6), generator.uniform(0.38, 0.52)
    stem = 0.05
    side = generator.choice((-1, 1))
    leaf = _petal(0.75, 0.12, -90 + side * generator.uniform(18, 35), 0.45) + np.array((0, 1.0))
    cup = [(-waist, -0.35), (-waist * 0.75, -0.02), (0, 0.12), (waist * 0.75, -0.02), (waist, -0.35)]
    outer = [(spread, -0.9), (spread * 0.5, -0.55), (0, -0.6), (-spread * 0.5, -0.55), (-spread, -0.9)]
    inner = _points((-0.3, -0.5), (0, -0.98), (0.3, -0.5), (0.24, 0), (-0.24, 0))
    return [
        Part(_points((-stem, 0), (stem, 0), (stem, 1.0), (-stem, 1.0)), "stalk"),
        Part(leaf, "stalk", 120),
        Part(_points(*cup, *outer), tone=118),
        Part(inner, tone=int(generator.integers(130, 150))),
    ]


def _leaf(generator: np.random.Generator) -> list[Part]:
    """A blade with veins, smooth or toothed, on a stalk."""
    width, fullness = generator.uniform(0.3, 0.58), generator.uniform(0.3, 0.55)
    blade = _petal(1.75, width, 90, fullness)
    if generator.random() < 0.5:
        blade = np.repeat(blade, 2, axis=0)
        blade = (blade + np.roll(blade, 1, axis=0)) / 2
        blade[::2, 0] *= 1.22
    veins = []
    for i in range(int(generator.integers(3, 6))):
        start = 0.3 + 0.26 * i
        for side in (-1, 1):
            reach = side * width * max(0.1, 0.8 - abs(start / 1.75 - fullness))
            veins.append(Part(_points((0, start), (0, start + 0.05), (reach, start + 0.3)), "shade", 92))
    middle = Part(_points((-0.03, 0), (0.03, 0), (0.0, 1.7)), "shade", 86)
    stalk = Part(_points((-0.035, 0.05), (0.035, 0.05), (0.05, -0.3), (-0.02, -0.3)))
    return [
        part._replace(points=part.points * (1, -1) + np.array((0, 0.75)))
        for part in (stalk, Part(blade), *veins, middle)
    ]


def _arrow(generator: np.random.Generator) -> list[Part]:
    half, head, neck = (
        generator.uniform(0.12, 0.24),
        generator.uniform(0.5, 0.7),
        generator.uniform(-0.2, 0.25),
    )
    right = [(half, 0.95), (half, neck), (head, neck)]
    return [Part(_points(*right, (0, -0.95), *((-x, y) for x, y in reversed(right))))]


def _mug(generator: np.random.Generator) -> list[Part]:
    top, foot, height = 0.6, generator.uniform(0.42, 0.6), generator.uniform(0.6, 0.8)
    x = (top + foot) / 2
    rim = generator.uniform(0.1, 0.18)
    handle = generator.uniform(0.3, 0.42)
    return [
        Part(_ellipse(x, 0.05, handle, handle * 1.15)),
        Part(_ellipse(x, 0.05, handle * 0.58, handle * 0.75), "hole"),
        Part(_ellipse(0, height, foot, rim * 0.8)),
        Part(_points((-top, -height), (top, -height), (foot, height), (-foot, height))),
        Part(_ellipse(0, -height, top, rim), tone=140),
        Part(_ellipse(0, -height, top * 0.85, rim * 0.72), "shade", int(generator.integers(40, 80))),
    ]


def _mushroom(generator: np.random.Generator) -> list[Part]:
    stem, foot = generator.uniform(0.16, 0.28), generator.uniform(0.2, 0.36)
    brim, top = generator.uniform(0.7, 0.95), generator.uniform(0.6, 0.95)
    dome = [(-brim * math.cos(math.pi * i / 16), 0.1 - top * math.sin(math.pi * i / 16)) for i in range(17)]
    under = [(brim * math.cos(math.pi * i / 8), 0.1 + 0.14 * math.sin(math.pi * i / 8)) for i in range(1, 8)]
    parts = [
        Part(_points((-stem, 0), (stem, 0), (foot, 0.9), (0, 0.97), (-foot, 0.9)), "stalk", 150),
        Part(_points(*dome, *under)),
    ]
    if generator.random() < 0.5:
        for x, y in ((-0.45, -0.1), (0.0, -0.35), (0.42, -0.12), (0.1, 0.0)):
            size = generator.uniform(0.07, 0.14)
            parts.append(Part(_ellipse(x * brim, y * top, size, size * 0.8), "detail", 150))
    return parts


def _fish(generator: np.random.Generator) -> list[Part]:
    height, tail = generator.uniform(0.32, 0.52), generator.uniform(0.3, 0.48)
    return [
        Part(_points((0.4, 0), (0.98, -tail), (0.85, 0), (0.98, tail)), tone=112),
        Part(_points((-0.3, -height * 0.8), (0.15, -height - 0.28), (0.3, -height * 0.6)), tone=108),
        Part(_points((-0.1, height * 0.8), (0.15, height + 0.2), (0.2, height * 0.7)), tone=108),
        Part(_ellipse(-0.2, 0, 0.75, height)),
        Part(_points((-0.5, -height * 0.8), (-0.42, 0), (-0.5, height * 0.8), (-0.46, 0)), "shade", 80),
        Part(_ellipse(-0.68, -0.08, 0.09, 0.09), "shade", 200),
        Part(_ellipse(-0.68, -0.08, 0.05, 0.05), "shade", 10),
    ]


SHAPES: dict[str, Outline] = {
    "arrow": _arrow,
    "ball": _ball,
    "blossom": _blossom,
    "crate": _crate,
    "crescent": _crescent,
    "cross": _cross,
    "daisy": _daisy,
    "fish": _fish,
    "heart": _heart,
    "leaf": _leaf,
    "mug": _mug,
    "mushroom": _mushroom,
    "ring": _ring,
    "star": _star,
    "tulip": _tulip,
    "wedge": _wedge,
}

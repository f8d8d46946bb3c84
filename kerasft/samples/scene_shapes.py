"""Shapes of drawn scenes: what an outline covers once it is turned, scaled and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from kerasft.samples.scene_outlines import NEUTRAL, Part, turn_points

SUPERSAMPLING = 2
"""Polygons are drawn at so many times the picture's size, and averaged."""
_EDGE = 34
"""How much darker than itself the outline of a part with a tone is."""


@dataclass(frozen=True)
class Pose:
    """Where a shape stands: its middle and radius in pixels, how far it is turned, and how much flattened."""

    x: float
    y: float
    radius: float
    degrees: float
    flatness: float = 1.0
    flat_degrees: float = 0.0

    def apply(self, points: np.ndarray) -> np.ndarray:
        """From a shape's own coordinates to pixels."""
        flat = turn_points(points, self.flat_degrees) * (1.0, self.flatness)
        return turn_points(flat, self.degrees) * self.radius + (self.x, self.y)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A shape as it covers pixels; all pictures are uint8 ("L") of one size."""

    left: int
    top: int
    coverage: Image.Image
    """255 where the shape covers the pixel whole."""
    tone: Image.Image
    """Lighter or darker than `NEUTRAL`."""
    detail: Image.Image
    """255 where the second colour is."""
    stalk: Image.Image
    """255 where a stem is."""


def draw_shape(parts: Sequence[Part], pose: Pose) -> Drawn:
    """Draws a shape whole, also where it leaves the picture."""
    placed = [pose.apply(part.points) for part in parts]
    ends = np.concatenate(placed)
    left, top = (math.floor(value) - 1 for value in ends.min(axis=0))
    right, bottom = (math.ceil(value) + 2 for value in ends.max(axis=0))
    size = ((right - left) * SUPERSAMPLING, (bottom - top) * SUPERSAMPLING)
    coverage, tone, detail, stalk = (Image.new("L", size, shade) for shade in (0, NEUTRAL, 0, 0))
    on_coverage, on_tone, on_detail, on_stalk = map(ImageDraw.Draw, (coverage, tone, detail, stalk))
    for part, points in zip(parts, placed, strict=True):
        # whole 64ths of a pixel: the last bits of a cosine differ between machines
        corners = (np.rint((points - (left, top)) * (SUPERSAMPLING * 64)) / 64).ravel().tolist()
        if part.kind == "hole":
            on_coverage.polygon(corners, fill=0)
            continue
        if part.kind in ("body", "stalk"):
            on_coverage.polygon(corners, fill=255)
            on_stalk.polygon(corners, fill=255 if part.kind == "stalk" else 0)
            on_detail.polygon(corners, fill=0)
        elif part.kind == "detail":
            on_detail.polygon(corners, fill=255)
        edge = part.tone if part.tone == NEUTRAL else max(0, part.tone - _EDGE)
        on_tone.polygon(corners, fill=int(part.tone), outline=int(edge))
    return Drawn(left, top, *(picture.reduce(SUPERSAMPLING) for picture in (coverage, tone, detail, stalk)))

"""Colours for any number of classes, each as unlike the others as can be."""

from __future__ import annotations

import functools

import numpy as np
from matplotlib.colors import to_hex, to_rgb

from kerasft.plots.style import INK, PALETTE, PAPER

_STEPS = 13
_LIGHTNESS, _LEAST_CHROMA = (0.5, 0.86), 0.09
"""In OKLab: what is darker, lighter or paler is hard to see on some pictures, or to tell from white."""


@functools.cache
def choose_class_colours(count: int) -> tuple[str, ...]:
    """A colour for each of `count` classes, `#rrggbb`: the house's six, then whatever is farthest from all before.

    The first colours are the same whatever the count. Above some hundreds they come again.
    """
    chosen = list(PALETTE)
    candidates = _list_candidates()
    places = to_oklab(candidates)
    nearest = np.full(len(candidates), np.inf)
    for place in to_oklab(np.array([to_rgb(colour) for colour in chosen])):
        nearest = np.minimum(nearest, np.linalg.norm(places - place, axis=1))
    while len(chosen) < min(count, len(candidates)):
        farthest = int(nearest.argmax())
        chosen.append(to_hex(candidates[farthest]))
        nearest = np.minimum(nearest, np.linalg.norm(places - places[farthest], axis=1))
    return tuple(chosen[place % len(chosen)] for place in range(count))


def choose_text_colour(ground: str) -> str:
    """White or ink, whichever is read better on a ground, `#rrggbb`."""
    contrasts = {}
    for colour in (PAPER, INK):
        lighter, darker = sorted((_compute_luminance(colour), _compute_luminance(ground)), reverse=True)
        contrasts[colour] = (lighter + 0.05) / (darker + 0.05)
    return max(contrasts, key=contrasts.__getitem__)


def to_oklab(colours: np.ndarray) -> np.ndarray:
    """How colours look, so that distances between them are those that people see.

    Args:
        colours: float (…, 3), sRGB in 0..1.

    Returns:
        float64 (…, 3): lightness in 0..1, green to red, blue to yellow.

    Source: Ottosson 2020, "A perceptual color space for image processing".
    """
    responses = np.cbrt(_to_linear(colours) @ _LINEAR_TO_CONES.T)
    return responses @ _CONES_TO_OKLAB.T


_LINEAR_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_CONES_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def _to_linear(colours: np.ndarray) -> np.ndarray:
    """Light of sRGB's numbers in 0..1 (IEC 61966-2-1)."""
    colours = np.asarray(colours, np.float64)
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def _compute_luminance(colour: str) -> float:
    return float(_to_linear(np.array(to_rgb(colour))) @ [0.2126, 0.7152, 0.0722])


def _list_candidates() -> np.ndarray:
    """float64 (colours, 3), sRGB."""
    steps = np.linspace(0.0, 1.0, _STEPS)
    colours = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(-1, 3)
    lightness, *chroma = to_oklab(colours).T
    inside = (lightness >= _LIGHTNESS[0]) & (lightness <= _LIGHTNESS[1])
    return colours[inside & (np.hypot(*chroma) >= _LEAST_CHROMA)]

"""Textures and colours of drawn scenes: functions of coordinates and a generator, in arithmetic alone.

No sine, power or exponential is taken of a picture: those differ in the last bit between machines, and a scene
is to be the same on all.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

Texture = Callable[[np.random.Generator, np.ndarray, np.ndarray], np.ndarray]
"""(generator, u, v) → float32 in [0, 1], how much of the second colour; u and v are float32 (height, width), in
periods of the texture."""


def draw_noise(
    generator: np.random.Generator, shape: tuple[int, ...], cells: float, octaves: int = 1
) -> np.ndarray:
    """Value noise: random numbers on grids, between them a cubic.

    Args:
        generator: the source of chance.
        shape: (height, width), in pixels.
        cells: of the coarsest grid, along the longer side; each octave has twice as many and half the weight.
        octaves: how many grids are added.

    Returns:
        float32 (height, width), in [0, 1], about 0.5.
    """
    height, width = shape
    total = np.zeros((height, width), np.float32)
    weight, weights = 1.0, 0.0
    longer = max(height, width)
    for _ in range(octaves):
        rows = max(2, min(height, round(cells * height / longer)))
        columns = max(2, min(width, round(cells * width / longer)))
        grid = generator.integers(0, 256, (rows, columns), np.uint8)
        field = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        total += np.asarray(field, np.float32) * np.float32(weight)
        weights += weight * 255
        cells, weight = cells * 2, weight / 2
    total *= np.float32(1 / weights)
    return total


def compute_wave(phase: np.ndarray) -> np.ndarray:
    """A smooth wave of period 1 in [0, 1]: 0 at whole numbers, 1 halfway."""
    wave = phase - np.floor(phase)
    wave = 1 - np.abs(2 * wave - 1)
    return wave * wave * (3 - 2 * wave)


def compute_step(values: np.ndarray, edge: float, softness: float) -> np.ndarray:
    """0 well below `edge`, 1 well above, a ramp of width `softness` between."""
    return np.clip((values - np.float32(edge)) * np.float32(1 / softness) + np.float32(0.5), 0, 1)


def _plain(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return 0.35 * draw_noise(generator, u.shape, cells=generator.uniform(2, 5), octaves=2)


def _speckled(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    cells = max(u.shape) / generator.uniform(2.0, 5.0)
    noise = draw_noise(generator, u.shape, cells=cells)
    return compute_step(noise, generator.uniform(0.5, 0.72), 0.15)


def _striped(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    bend = generator.uniform(0, 0.5) * draw_noise(generator, u.shape, cells=3)
    return compute_step(compute_wave(u + bend), generator.uniform(0.3, 0.7), generator.uniform(0.1, 0.8))


def _checked(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    first, second = compute_step(compute_wave(u), 0.5, 0.15), compute_step(compute_wave(v), 0.5, 0.15)
    if generator.random() < 0.4:  # as of cloth: where bands cross, both colours are added
        return (first + second) / 2
    return first + second - 2 * first * second


def _dotted(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    v = v * np.float32(1.15)
    row = np.floor(v)
    u = u + (row - 2 * np.floor(row / 2)) * np.float32(0.5)
    x, y = u - np.floor(u) - np.float32(0.5), v - row - np.float32(0.5)
    return 1 - compute_step(x * x + y * y, generator.uniform(0.04, 0.12), 0.04)


def _wooden(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    across = v + generator.uniform(0.5, 1.6) * draw_noise(generator, u.shape, cells=2)
    fibres = generator.random(256, np.float32)
    fine = fibres[(across * np.float32(9) + u * np.float32(0.3)).astype(np.int32) & 255]
    rings = across * np.float32(1.3)
    rings = rings - np.floor(rings)
    return np.clip(np.float32(0.65) * rings * rings + np.float32(0.45) * fine, 0, 1)


def _marbled(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    warp = draw_noise(generator, u.shape, cells=generator.uniform(2.5, 5), octaves=4)
    veins = compute_wave(u * np.float32(0.4) + warp * np.float32(generator.uniform(2.5, 5)))
    veins = 1 - veins
    return veins * veins * veins


def _cloudy(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    clouds = draw_noise(generator, u.shape, cells=generator.uniform(2.5, 6), octaves=4)
    return compute_step(clouds, generator.uniform(0.4, 0.6), generator.uniform(0.25, 0.6))


def _bricked(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    v = v * np.float32(1.3)
    u = u * np.float32(0.65)
    row = np.floor(v)
    u = u + row * np.float32(0.5)
    column = np.floor(u)
    shades = generator.random(256, np.float32)
    shade = shades[(row * 13 + column * 7).astype(np.int32) & 255]
    x, y = u - column, v - row
    joint = (x < np.float32(0.09)) | (y < np.float32(0.16))
    return np.where(joint, np.float32(1), shade * np.float32(0.35))


def _woven(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    column, row = np.floor(u), np.floor(v)
    over = (column + row) - 2 * np.floor((column + row) / 2)
    x, y = u - column, v - row
    warp, weft = 4 * x * (1 - x), 4 * y * (1 - y)
    return np.where(over > np.float32(0.5), np.float32(0.2) + np.float32(0.5) * warp, weft)


def _scaly(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    v = v * np.float32(1.4)
    row = np.floor(v)
    y = v - row
    u = u + (row - 2 * np.floor(row / 2)) * np.float32(0.5)
    x = u - np.floor(u) - np.float32(0.5)
    distance = x * x * np.float32(2.6) + y * y
    distance = np.where(distance > 1, distance - 1, distance)
    return distance * distance


def _pebbled(generator: np.random.Generator, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Cells about scattered points: the second nearest point's distance less the nearest one's."""
    column, row = np.floor(u), np.floor(v)
    x, y = u - column, v - row
    jitter = generator.uniform(0.1, 0.9, (2, 1024)).astype(np.float32)
    cell = (row * 37 + column).astype(np.int32)
    nearest = np.full(u.shape, 9, np.float32)
    second = nearest
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            points = (cell + (down * 37 + right)) & 1023
            across = jitter[0][points] + np.float32(right) - x
            along = jitter[1][points] + np.float32(down) - y
            distance = across * across + along * along
            second = np.minimum(second, np.maximum(nearest, distance))
            nearest = np.minimum(nearest, distance)
    return np.clip(1 - np.float32(3) * (second - nearest), 0, 1)


TEXTURES: dict[str, Texture] = {
    "bricked": _bricked,
    "checked": _checked,
    "cloudy": _cloudy,
    "dotted": _dotted,
    "marbled": _marbled,
    "pebbled": _pebbled,
    "plain": _plain,
    "scaly": _scaly,
    "speckled": _speckled,
    "striped": _striped,
    "wooden": _wooden,
    "woven": _woven,
}


def draw_palette(generator: np.random.Generator, vividness: float) -> np.ndarray:
    """Three colours that may stand on one thing: the second unlike the first in lightness or hue, the third near it.

    Args:
        generator: the source of chance.
        vividness: in [0, 1], the most that colours are saturated.

    Returns:
        float32 (3, 3): three colours of red, green and blue in [0, 255].
    """
    hue = generator.random()
    saturation = vividness * max(generator.random(), generator.random())
    value = generator.uniform(0.3, 1.0)
    first = _to_rgb(hue, saturation, value)
    kind = generator.random()
    if kind < 0.45:  # lighter or darker
        second = _to_rgb(
            hue + generator.uniform(-0.04, 0.04),
            saturation * generator.uniform(0.4, 1.2),
            _shift(generator, value),
        )
    elif kind < 0.75:  # a neighbour
        second = _to_rgb(
            hue + generator.choice((-1, 1)) * generator.uniform(0.06, 0.2),
            saturation,
            _shift(generator, value),
        )
    elif kind < 0.9:  # whitish or blackish
        second = _to_rgb(hue, 0.15 * saturation, 0.95 if value < 0.65 else 0.15)
    else:
        second = _to_rgb(generator.random(), vividness * generator.random(), _shift(generator, value))
    third = _to_rgb(
        hue + generator.uniform(-0.08, 0.08),
        saturation * generator.uniform(0.6, 1.2),
        value * generator.uniform(0.7, 1.2),
    )
    return np.array((first, second, third), np.float32) * np.float32(255)


def _shift(generator: np.random.Generator, value: float) -> float:
    change = generator.uniform(0.22, 0.5)
    return value - change if value > 0.65 or (value > 0.4 and generator.random() < 0.5) else value + change


def _to_rgb(hue: float, saturation: float, value: float) -> tuple[float, float, float]:
    return colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.03), 1.0))


def mix_colours(palette: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """float32 (height, width, 3) between the first two colours."""
    return palette[0] + shares[..., None] * (palette[1] - palette[0])


def draw_leaf_colour(generator: np.random.Generator, hue: float, value: float) -> tuple[int, int, int]:
    """A colour about a hue and a lightness, both in [0, 1]; not quite grey, not quite vivid."""
    value = min(1.0, value * generator.uniform(0.6, 1.3))
    red, green, blue = colorsys.hsv_to_rgb(
        (hue + generator.uniform(-0.04, 0.04)) % 1, generator.uniform(0.25, 0.8), value
    )
    return int(red * 255), int(green * 255), int(blue * 255)


def make_grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 (height, 1) and (1, width): the middles of pixels, from 0 to 1."""
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5)) / np.float32(width)
    return y[:, None], x[None]


def turn_and_scale(
    x: np.ndarray, y: np.ndarray, degrees: float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """A texture's coordinates: turned, and `scale` periods to 1."""
    cosine = np.float32(round(math.cos(math.radians(degrees)), 6) * scale)
    sine = np.float32(round(math.sin(math.radians(degrees)), 6) * scale)
    return x * cosine + y * sine, y * cosine - x * sine


def to_picture(colours: np.ndarray) -> Image.Image:
    """RGB of float32 (height, width, 3), what is out of [0, 255] cut off."""
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))

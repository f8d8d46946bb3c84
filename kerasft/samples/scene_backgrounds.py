"""Backgrounds of drawn scenes: surfaces, places with a horizon, growth, and colours out of focus."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from kerasft.samples.textures import (
    TEXTURES,
    Texture,
    compute_step,
    draw_leaf_colour,
    draw_noise,
    draw_palette,
    make_grid,
    mix_colours,
    to_picture,
    turn_and_scale,
)

SURFACE, HORIZON, GROWTH, COLOURS = "surface", "horizon", "growth", "colours"
PLACES = tuple(sorted([*TEXTURES, HORIZON, GROWTH, COLOURS]))
"""What can be around an object: a surface of a texture, a place with a horizon, growth, colours out of focus."""


def paint_background(generator: np.random.Generator, size_px: int, place: str | None = None) -> Image.Image:
    """A surface, a place with a horizon, growth, or blurred colours: RGB (size_px, size_px).

    Args:
        generator: draws what is random about it.
        size_px: height and width.
        place: one of `PLACES`; None draws one.
    """
    drawn = generator.random()
    kind = next(
        kind
        for limit, kind in ((0.3, SURFACE), (0.6, HORIZON), (0.85, GROWTH), (1.0, COLOURS))
        if drawn < limit
    )
    if place is not None:
        kind = SURFACE if place in TEXTURES else place
    if kind == SURFACE:
        picture = _paint_surface(generator, size_px, place)
    elif kind == HORIZON:
        picture = _paint_horizon(generator, size_px)
    elif kind == GROWTH:
        picture = _paint_growth(generator, size_px)
    else:
        picture = _paint_colours(generator, size_px)
    if generator.random() < 0.5:
        _paint_clutter(generator, picture)
    if generator.random() < 0.6:  # out of focus
        picture = picture.filter(ImageFilter.GaussianBlur(generator.uniform(0.0, 0.025) * size_px))
    return picture


def _pick_texture(generator: np.random.Generator) -> Texture:
    return list(TEXTURES.values())[int(generator.integers(len(TEXTURES)))]


def _paint_surface(generator: np.random.Generator, size_px: int, name: str | None) -> Image.Image:
    """One texture all over, unevenly lit."""
    y, x = make_grid(size_px, size_px)
    u, v = turn_and_scale(x, y, generator.uniform(0, 360), generator.uniform(2.5, 12))
    palette = draw_palette(generator, generator.uniform(0.1, 0.8))
    picked = _pick_texture(generator)
    texture = picked if name is None else TEXTURES[name]
    colours = mix_colours(palette, texture(generator, u, v) * np.float32(generator.uniform(0.3, 1.0)))
    slope = generator.uniform(-0.5, 0.5, 2)
    lightness = (
        1 + (x - np.float32(0.5)) * np.float32(slope[0]) + (y - np.float32(0.5)) * np.float32(slope[1])
    )
    lightness = lightness + (draw_noise(generator, (size_px, size_px), 3, 3) - 0.5) * np.float32(
        generator.uniform(0, 0.7)
    )
    return to_picture(colours * lightness[..., None])


def _paint_horizon(generator: np.random.Generator, size_px: int) -> Image.Image:
    """A sky or wall above, and a ground or table below whose texture shrinks towards the horizon."""
    y, x = make_grid(size_px, size_px)
    horizon = generator.uniform(0.15, 0.75)
    waves = draw_noise(generator, (1, size_px), 6, 3) - np.float32(0.5)
    line = np.float32(horizon) + (x - np.float32(0.5)) * np.float32(generator.uniform(-0.15, 0.15))
    line = line + waves * np.float32(generator.choice((0.0, 0.25)))
    upper, lower = draw_palette(generator, 0.55), draw_palette(generator, 0.7)
    if generator.random() < 0.5:  # sky
        upper = np.array(((235, 240, 245), (110, 155, 215)), np.float32) * np.float32(
            generator.uniform(0.5, 1.05)
        )
        far = draw_noise(generator, (size_px, size_px), 3, 4) * np.float32(1.4) - y * np.float32(0.6)
    else:
        u, v = turn_and_scale(x, y, generator.choice((0, 90)), generator.uniform(4, 12))
        far = _pick_texture(generator)(generator, u, v) * np.float32(generator.uniform(0.2, 0.9))
    depth = 1 / (np.maximum(y - np.float32(horizon), 0) + np.float32(generator.uniform(0.15, 0.5)))
    scale = np.float32(generator.uniform(1.5, 5))
    near = _pick_texture(generator)(
        generator, (x - np.float32(0.5)) * depth * scale, depth * scale * np.float32(1.5)
    )
    below = compute_step(y - line, 0, 0.02)[..., None]
    colours = mix_colours(upper, far) * (1 - below) + mix_colours(lower, near) * below
    lightness = np.float32(0.8) + np.float32(0.4) * draw_noise(generator, (size_px, size_px), 4, 4)
    return to_picture(colours * lightness[..., None])


def _paint_growth(generator: np.random.Generator, size_px: int) -> Image.Image:
    """Blades and leaves, mostly green or brown, those behind darker."""
    base = generator.choice((0.18, 0.25, 0.3, 0.36, 0.1, 0.06, generator.random()))
    count = int(generator.integers(30, 90))
    picture = Image.new("RGB", (size_px, size_px), draw_leaf_colour(generator, base, 0.25))
    draw = ImageDraw.Draw(picture)
    upright = generator.random() < 0.4
    middle, spread = (-math.pi / 2, 0.5) if upright else (0.0, math.pi)
    places = generator.uniform(-0.1, 1.1, (count, 2))
    lengths = generator.uniform(0.08, 0.4, count)
    widths = generator.uniform(0.08, 0.45) * generator.uniform(0.5, 1.5, count)
    turns = generator.uniform(middle - spread, middle + spread, count)
    for i in range(count):
        colour = draw_leaf_colour(generator, base, 0.3 + 0.5 * i / count)
        along = np.array((math.cos(turns[i]), math.sin(turns[i]))) * lengths[i]
        _draw_blade(draw, places[i] * size_px, along * size_px, widths[i], colour)
    if generator.random() < 0.6:
        picture = picture.filter(ImageFilter.GaussianBlur(generator.uniform(0.0, 0.05) * size_px))
    lightness = np.float32(0.65) + np.float32(0.7) * draw_noise(generator, (size_px, size_px), 4, 4)
    return to_picture(np.asarray(picture, np.float32) * lightness[..., None])


def _draw_blade(
    draw: ImageDraw.ImageDraw,
    place: np.ndarray,
    along: np.ndarray,
    width: float,
    colour: tuple[int, int, int],
) -> None:
    """A leaf from `place - along` to `place + along`, with a darker line in the middle."""
    across = np.array((-along[1], along[0])) * (width / 2)
    base, tip = place - along, place + along
    broad, narrow = place + 0.4 * along, place - 0.3 * along
    corners = (base, narrow + across, broad + across, tip, broad - across, narrow - across)
    draw.polygon(np.rint(np.concatenate(corners)).tolist(), fill=colour)
    red, green, blue = (value * 3 // 4 for value in colour)
    draw.line(np.rint(np.concatenate((base, tip))).tolist(), fill=(red, green, blue))


def _paint_colours(generator: np.random.Generator, size_px: int) -> Image.Image:
    """Soft patches of colour, as of things far behind."""
    palette = np.concatenate((draw_palette(generator, 0.7), draw_palette(generator, 0.5)))
    cells = int(generator.integers(2, 7))
    patches = palette[generator.integers(0, len(palette), (cells, cells))]
    return to_picture(patches * generator.uniform(0.7, 1.1, (cells, cells, 1))).resize(
        (size_px, size_px), Image.Resampling.BICUBIC
    )


def _paint_clutter(generator: np.random.Generator, picture: Image.Image) -> None:
    """Sticks and pebbles that belong to no class."""
    draw = ImageDraw.Draw(picture)
    size_px = picture.width
    for _ in range(int(generator.integers(1, 12))):
        colour = tuple(int(value) for value in draw_palette(generator, 0.5)[0])
        x, y, right, down = generator.uniform(0, size_px, 4)
        if generator.random() < 0.4:
            right, down = x + (right - x) * 0.5, y + (down - y) * 0.5
            draw.line((x, y, right, down), fill=colour, width=int(1 + generator.random() * size_px / 50))
        else:
            radius = generator.uniform(0.008, 0.04) * size_px
            draw.ellipse((x - radius, y - radius * 0.7, x + radius, y + radius * 0.7), fill=colour)

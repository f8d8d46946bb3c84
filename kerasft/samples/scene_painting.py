"""Painting of drawn scenes: backgrounds, shapes with light and shadow, and what a camera makes of them."""

from __future__ import annotations

import colorsys
import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from kerasft.samples.scene_shapes import NEUTRAL, Drawn, Pose
from kerasft.samples.textures import TEXTURES, Texture, compute_step, draw_noise, draw_palette


@dataclass(frozen=True)
class Light:
    """Where a scene's light comes from, and how hard it is."""

    right: float
    down: float
    """A direction of length 1 in the picture, from the light."""
    strength: float
    """How much lighter the lit side is than the middle, in [0, 1]."""
    shadow: float
    """How dark shadows are, in [0, 1]."""
    distance: float
    """How far shadows fall, in radii."""


def draw_light(generator: np.random.Generator) -> Light:
    """Any light from above or the side."""
    angle = math.radians(generator.uniform(20, 160))
    return Light(
        round(math.cos(angle), 6),
        round(math.sin(angle), 6),
        generator.uniform(0.1, 0.5),
        generator.uniform(0.15, 0.65),
        generator.uniform(0.05, 0.3),
    )


def paint_background(generator: np.random.Generator, size_px: int) -> Image.Image:
    """A surface, a place with a horizon, growth, or blurred colours: RGB (size_px, size_px)."""
    kind = generator.random()
    if kind < 0.3:
        picture = _paint_surface(generator, size_px)
    elif kind < 0.6:
        picture = _paint_horizon(generator, size_px)
    elif kind < 0.85:
        picture = _paint_growth(generator, size_px)
    else:
        picture = _paint_colours(generator, size_px)
    if generator.random() < 0.5:
        _paint_clutter(generator, picture)
    if generator.random() < 0.6:  # out of focus
        picture = picture.filter(ImageFilter.GaussianBlur(generator.uniform(0.0, 0.025) * size_px))
    return picture


def _to_picture(colours: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(colours, 0, 255).astype(np.uint8))


def _mix(palette: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """float32 (height, width, 3) between the first two colours."""
    return palette[0] + shares[..., None] * (palette[1] - palette[0])


def _pick_texture(generator: np.random.Generator) -> Texture:
    return list(TEXTURES.values())[int(generator.integers(len(TEXTURES)))]


def _paint_surface(generator: np.random.Generator, size_px: int) -> Image.Image:
    """One texture all over, unevenly lit."""
    y, x = _grid(size_px, size_px)
    u, v = _turn_and_scale(x, y, generator.uniform(0, 360), generator.uniform(2.5, 12))
    palette = draw_palette(generator, generator.uniform(0.1, 0.8))
    colours = _mix(
        palette, _pick_texture(generator)(generator, u, v) * np.float32(generator.uniform(0.3, 1.0))
    )
    slope = generator.uniform(-0.5, 0.5, 2)
    lightness = (
        1 + (x - np.float32(0.5)) * np.float32(slope[0]) + (y - np.float32(0.5)) * np.float32(slope[1])
    )
    lightness = lightness + (draw_noise(generator, (size_px, size_px), 3, 3) - 0.5) * np.float32(
        generator.uniform(0, 0.7)
    )
    return _to_picture(colours * lightness[..., None])


def _paint_horizon(generator: np.random.Generator, size_px: int) -> Image.Image:
    """A sky or wall above, and a ground or table below whose texture shrinks towards the horizon."""
    y, x = _grid(size_px, size_px)
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
        u, v = _turn_and_scale(x, y, generator.choice((0, 90)), generator.uniform(4, 12))
        far = _pick_texture(generator)(generator, u, v) * np.float32(generator.uniform(0.2, 0.9))
    depth = 1 / (np.maximum(y - np.float32(horizon), 0) + np.float32(generator.uniform(0.15, 0.5)))
    scale = np.float32(generator.uniform(1.5, 5))
    near = _pick_texture(generator)(
        generator, (x - np.float32(0.5)) * depth * scale, depth * scale * np.float32(1.5)
    )
    below = compute_step(y - line, 0, 0.02)[..., None]
    colours = _mix(upper, far) * (1 - below) + _mix(lower, near) * below
    lightness = np.float32(0.8) + np.float32(0.4) * draw_noise(generator, (size_px, size_px), 4, 4)
    return _to_picture(colours * lightness[..., None])


def _paint_growth(generator: np.random.Generator, size_px: int) -> Image.Image:
    """Blades and leaves, mostly green or brown, those behind darker."""
    base = generator.choice((0.18, 0.25, 0.3, 0.36, 0.1, 0.06, generator.random()))
    count = int(generator.integers(30, 90))
    picture = Image.new("RGB", (size_px, size_px), _leaf_colour(generator, base, 0.25))
    draw = ImageDraw.Draw(picture)
    upright = generator.random() < 0.4
    places = generator.uniform(-0.1, 1.1, (count, 2)) * size_px
    lengths = generator.uniform(0.08, 0.4, count) * size_px
    widths = generator.uniform(0.08, 0.45) * generator.uniform(0.5, 1.5, count)
    turns = (
        generator.uniform(-0.5, 0.5, count) + (-1.57 if upright else 0)
        if upright
        else generator.uniform(0, 6.28, count)
    )
    for i in range(count):
        along = np.array((math.cos(turns[i]), math.sin(turns[i]))) * lengths[i]
        across = np.array((-along[1], along[0])) * widths[i] / 2
        middle = places[i]
        corners = [
            middle - along,
            middle - along * 0.3 + across,
            middle + along * 0.4 + across,
            middle + along,
            middle + along * 0.4 - across,
            middle - along * 0.3 - across,
        ]
        colour = _leaf_colour(generator, base, 0.3 + 0.5 * i / count)
        draw.polygon(np.rint(np.concatenate(corners)).tolist(), fill=colour)
        if lengths[i] > 12:
            darker = tuple(value * 3 // 4 for value in colour)
            draw.line(np.rint(np.concatenate((middle - along, middle + along))).tolist(), fill=darker)
    if generator.random() < 0.6:
        picture = picture.filter(ImageFilter.GaussianBlur(generator.uniform(0.0, 0.05) * size_px))
    lightness = np.float32(0.65) + np.float32(0.7) * draw_noise(generator, (size_px, size_px), 4, 4)
    return _to_picture(np.asarray(picture, np.float32) * lightness[..., None])


def _leaf_colour(generator: np.random.Generator, hue: float, value: float) -> tuple[int, int, int]:
    value = min(1.0, value * generator.uniform(0.6, 1.3))
    red, green, blue = colorsys.hsv_to_rgb(
        (hue + generator.uniform(-0.04, 0.04)) % 1, generator.uniform(0.25, 0.8), value
    )
    return int(red * 255), int(green * 255), int(blue * 255)


def _paint_colours(generator: np.random.Generator, size_px: int) -> Image.Image:
    """Soft patches of colour, as of things far behind."""
    palette = np.concatenate((draw_palette(generator, 0.7), draw_palette(generator, 0.5)))
    cells = int(generator.integers(2, 7))
    grid = palette[generator.integers(0, len(palette), (cells, cells))] * generator.uniform(
        0.7, 1.1, (cells, cells, 1)
    )
    return _to_picture(grid).resize((size_px, size_px), Image.Resampling.BICUBIC)


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


def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """float32 (height, 1) and (1, width): the middles of pixels, from 0 to 1."""
    y = (np.arange(height, dtype=np.float32) + np.float32(0.5)) / np.float32(height)
    x = (np.arange(width, dtype=np.float32) + np.float32(0.5)) / np.float32(width)
    return y[:, None], x[None]


def _turn_and_scale(
    x: np.ndarray, y: np.ndarray, degrees: float, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    cosine = np.float32(round(math.cos(math.radians(degrees)), 6) * scale)
    sine = np.float32(round(math.sin(math.radians(degrees)), 6) * scale)
    return x * cosine + y * sine, y * cosine - x * sine


def paint_shape(
    picture: Image.Image, drawn: Drawn, pose: Pose, texture: str, light: Light, generator: np.random.Generator
) -> None:
    """Paints a shape and its shadow into a picture, cut by the edge.

    Args:
        picture: RGB, changed in place.
        drawn: what it covers.
        pose: where it stands.
        texture: a name of `TEXTURES`.
        light: the scene's.
        generator: the source of its colours and of how its texture lies.
    """
    left, top = max(drawn.left, 0), max(drawn.top, 0)
    right = min(drawn.left + drawn.coverage.width, picture.width)
    bottom = min(drawn.top + drawn.coverage.height, picture.height)
    box = (left - drawn.left, top - drawn.top, right - drawn.left, bottom - drawn.top)
    _paint_shadow(picture, drawn, pose, light)
    y = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - pose.y)) * np.float32(1 / pose.radius)
    x = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - pose.x)) * np.float32(1 / pose.radius)
    y, x = y[:, None], x[None]
    most = min(7.0, pose.radius / 4)
    u, v = _turn_and_scale(
        x, y, pose.degrees + generator.uniform(0, 360), generator.uniform(min(2.0, most), most) / 1.6
    )
    u, v = u + np.float32(generator.uniform(50, 60)), v + np.float32(generator.uniform(50, 60))
    palette = draw_palette(generator, generator.uniform(0.15, 1.0))
    colours = _mix(palette, TEXTURES[texture](generator, u, v))
    drift = draw_noise(generator, (bottom - top, right - left), 3, 2)[..., None] * np.float32(
        generator.uniform(0.0, 0.6)
    )
    colours += drift * (palette[2] - colours)
    other = draw_palette(generator, 0.9)[0]
    stem = np.array(_leaf_colour(generator, 0.27, 0.6), np.float32)
    for cover, colour in ((drawn.detail, other), (drawn.stalk, stem)):
        if cover.getbbox():
            share = np.asarray(cover.crop(box), np.float32) * np.float32(1 / 255)
            colours += share[..., None] * (colour * (1 - drift) - colours)
    colours *= _shade(drawn, box, pose, light, x, y, generator)[..., None]
    picture.paste(_to_picture(colours), (left, top), drawn.coverage.crop(box))


def _shade(
    drawn: Drawn,
    box: tuple[int, int, int, int],
    pose: Pose,
    light: Light,
    x: np.ndarray,
    y: np.ndarray,
    generator: np.random.Generator,
) -> np.ndarray:
    """float32: how light each pixel is, 1 in the middle of a flat shape.

    The shape bulges: its height is its coverage, blurred, and what slopes towards the light is lighter.
    """
    bulge = generator.uniform(0.06, 0.3) * pose.radius
    height = np.asarray(drawn.coverage.filter(ImageFilter.GaussianBlur(bulge)), np.float32)
    slope = np.zeros_like(height)
    slope[:, 1:-1] += (height[:, 2:] - height[:, :-2]) * np.float32(light.right)
    slope[1:-1] += (height[2:] - height[:-2]) * np.float32(light.down)
    slope = slope[box[1] : box[3], box[0] : box[2]] * np.float32(bulge / 255 * 1.8)
    whole = (x * np.float32(light.right) + y * np.float32(light.down)) * np.float32(-0.5)
    lightness = 1 + np.float32(light.strength) * (slope + whole)
    shine = generator.uniform(-0.6, 0.6)
    if shine > 0:
        gloss = np.maximum(slope + whole - np.float32(0.45), 0)
        lightness += gloss * np.float32(shine * 2)
    tone = np.asarray(drawn.tone.crop(box), np.float32) * np.float32(1 / NEUTRAL)
    return lightness * tone


def _paint_shadow(picture: Image.Image, drawn: Drawn, pose: Pose, light: Light) -> None:
    fall = light.distance * pose.radius
    cover = Image.new("L", picture.size, 0)
    place = (drawn.left + round(light.right * fall), drawn.top + round(light.down * fall))
    cover.paste(Image.new("L", drawn.coverage.size, round(255 * light.shadow)), place, drawn.coverage)
    picture.paste((8, 8, 16), (0, 0), cover.filter(ImageFilter.GaussianBlur(fall * 0.6 + 0.8)))


def photograph(generator: np.random.Generator, picture: Image.Image) -> np.ndarray:
    """What a camera makes of a scene: blur, exposure, contrast, white balance, dark corners and noise.

    Returns:
        uint8 (height, width, 3).
    """
    size_px = picture.width
    if generator.random() < 0.5:
        picture = picture.filter(ImageFilter.GaussianBlur(generator.uniform(0, 0.007) * size_px))
    picture = picture.point(_draw_curves(generator))
    colours = np.asarray(picture, np.float32)
    colour_sigma = generator.uniform(0, 5)
    noise = np.frombuffer(generator.bytes(2 * colours.size), np.int8).reshape(2, *colours.shape)
    colours = colours + (noise[0].astype(np.float32) + noise[1]) * np.float32(colour_sigma / 104)
    if generator.random() < 0.3:
        y, x = (part - np.float32(0.5) for part in _grid(size_px, size_px))
        colours *= (1 - (x * x + y * y) * np.float32(generator.uniform(0.2, 1.0)))[..., None]
    return np.clip(colours + np.float32(0.5), 0, 255).astype(np.uint8)


def _draw_curves(generator: np.random.Generator) -> list[int]:
    """The red, green and blue values that each value becomes."""
    contrast = generator.uniform(0.7, 1.25)
    brightness = generator.uniform(-25, 25)
    bend = generator.uniform(-0.5, 0.5)
    curves: list[int] = []
    for _ in range(3):
        gain = generator.uniform(0.88, 1.12)
        for i in range(256):
            value = i / 255
            value = (value + bend * value * (1 - value)) * gain
            curves.append(round(min(255.0, max(0.0, (value - 0.5) * contrast * 255 + 127.5 + brightness))))
    return curves

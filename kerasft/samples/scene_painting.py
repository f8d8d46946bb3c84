"""Painting of drawn scenes: shapes with light and shadow, and what a camera makes of a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from kerasft.samples.scene_outlines import NEUTRAL
from kerasft.samples.scene_shapes import Drawn, Pose
from kerasft.samples.textures import (
    TEXTURES,
    draw_leaf_colour,
    draw_noise,
    draw_palette,
    make_grid,
    mix_colours,
    to_picture,
    turn_and_scale,
)


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
    u, v = turn_and_scale(
        x, y, pose.degrees + generator.uniform(0, 360), generator.uniform(min(2.0, most), most) / 1.6
    )
    u, v = u + np.float32(generator.uniform(50, 60)), v + np.float32(generator.uniform(50, 60))
    palette = draw_palette(generator, generator.uniform(0.15, 1.0))
    colours = mix_colours(palette, TEXTURES[texture](generator, u, v))
    drift = draw_noise(generator, (bottom - top, right - left), 3, 2)[..., None] * np.float32(
        generator.uniform(0.0, 0.6)
    )
    colours += drift * (palette[2] - colours)
    other = draw_palette(generator, 0.9)[0]
    stem = np.array(draw_leaf_colour(generator, generator.choice((0.1, 0.15, 0.27)), 0.7), np.float32)
    for cover, colour in ((drawn.detail, other), (drawn.stalk, stem)):
        if cover.getbbox():
            share = np.asarray(cover.crop(box), np.float32) * np.float32(1 / 255)
            colours += share[..., None] * (colour * (1 - drift) - colours)
    colours *= _shade(drawn, box, pose, light, x, y, generator)[..., None]
    picture.paste(to_picture(colours), (left, top), drawn.coverage.crop(box))


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
        y, x = (part - np.float32(0.5) for part in make_grid(size_px, size_px))
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

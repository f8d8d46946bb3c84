"""Pictures of our own making: textured things in some place, with what they are, where, and their masks.

What a picture shows follows from a seed and an index alone, so that any number of them can be made anywhere, and none
needs to be kept or fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from kerasft.samples.scene_backgrounds import PLACES, paint_background
from kerasft.samples.scene_outlines import SHAPES
from kerasft.samples.scene_painting import draw_light, paint_shape, photograph
from kerasft.samples.scene_shapes import Drawn, Pose, draw_shape
from kerasft.samples.textures import TEXTURES

Classes = Literal["shape", "texture", "shape_and_texture", "place"]
"""What the class of a picture is: of its main object the shape, the texture, or both (`striped_ring`); or the place
around it, which is the easiest to learn."""

MAX_OBJECTS = 6
SUPPORTED_SIZES_PX = range(32, 1025)
LEAST_VISIBLE = 0.6
"""The share of the main object that is always to be seen."""
_LEAST_INSIDE = 0.68
_LEAST_SHARE = 0.12
_LEAST_PIXELS = 0.0015
"""Another object counts as there if this share of it is to be seen, and as many pixels in relation to the picture."""


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene."""

    class_id: int
    """Its place in the names of shapes."""
    name: str
    """Its shape."""
    texture: str
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 in pixels, of what is to be seen of it; x1 and y1 are the first pixels past it."""
    occluded: float
    """The share of it that other things hide or the edge cuts off, in [0, 1)."""


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture, and all that is known of it."""

    image: np.ndarray
    """uint8 (height, width, 3)."""
    label: int
    name: str
    """The picture's class."""
    objects: tuple[SceneObject, ...]
    """The main object first, which is the largest; then the others."""
    class_mask: np.ndarray
    """uint8 (height, width): 0 background, else the class id of what is to be seen there + 1."""
    instance_mask: np.ndarray
    """uint8 (height, width): 0 background, else the place in `objects` + 1."""

    @property
    def boxes(self) -> np.ndarray:
        """int32 (objects, 4)."""
        return np.array([thing.box for thing in self.objects], np.int32)

    @property
    def class_ids(self) -> np.ndarray:
        """int32 (objects,)."""
        return np.array([thing.class_id for thing in self.objects], np.int32)


def list_classes(classes: Classes = "shape", only: Sequence[str] = ()) -> list[str]:
    """The names of a picture's class, in the order of labels, which is the alphabet's.

    Args:
        classes: what a picture's class is.
        only: some of the names; none given are all.

    Raises:
        ValueError: there is no such kind of class, or no such name.
    """
    known = {
        "shape": list(SHAPES),
        "texture": list(TEXTURES),
        "shape_and_texture": [f"{texture}_{shape}" for texture in TEXTURES for shape in SHAPES],
        "place": list(PLACES),
    }
    if classes not in known:
        raise ValueError(f"classes must be one of {', '.join(known)}; got {classes!r}")
    strange = [name for name in only if name not in known[classes]]
    if strange:
        raise ValueError(f"there is no {classes} {strange[0]!r}; there are {', '.join(known[classes])}")
    return [name for name in known[classes] if not only or name in only]


@dataclass(frozen=True, eq=False)
class _Thing:
    """An object as it is planned; without a shape it is something that only hides others."""

    shape: str
    texture: str
    pose: Pose
    drawn: Drawn
    covered: np.ndarray
    """bool (height, width)."""
    size: int
    """In pixels, what is outside of the picture included."""


def draw_scene(
    seed: int,
    index: int,
    *,
    size_px: int = 128,
    classes: Classes = "shape",
    max_objects: int = MAX_OBJECTS,
    only: Sequence[str] = (),
) -> Scene:
    """Draws one picture.

    Labels go round with the index: any run of as many pictures as there are classes has one of each.

    Args:
        seed: at least 0; another one, other pictures.
        index: at least 0; which of them.
        size_px: height and width, 32 to 1024.
        classes: what the picture's class is.
        max_objects: 1 to 6; with fewer, scenes are easier to learn from.
        only: the classes that there are, see `list_classes`.

    Returns:
        The same scene for the same arguments, on any machine.

    Raises:
        ValueError: an argument is out of range.
    """
    if seed < 0 or index < 0 or size_px not in SUPPORTED_SIZES_PX:
        raise ValueError(
            f"need seed ≥ 0, index ≥ 0 and size_px in 32 to 1024; got {seed}, {index}, {size_px}"
        )
    if not 1 <= max_objects <= MAX_OBJECTS:
        raise ValueError(f"need max_objects in 1 to {MAX_OBJECTS}; got {max_objects}")
    names = list_classes(classes, only)
    label = index % len(names)
    generator = np.random.default_rng([seed, index])
    shape, texture = _pick(generator, list(SHAPES)), _pick(generator, list(TEXTURES))
    if classes in ("shape", "shape_and_texture"):
        shape = names[label].rpartition("_")[2]
    if classes in ("texture", "shape_and_texture"):
        texture = names[label].partition("_")[0]
    main, others = _plan(generator, shape, texture, size_px, max_objects)
    light = draw_light(generator)
    things = _order(generator, main, others)
    picture = paint_background(generator, size_px, names[label] if classes == "place" else None)
    for thing in reversed(things):
        paint_shape(picture, thing.drawn, thing.pose, thing.texture, light, generator)
    objects, class_mask, instance_mask = _describe(main, things, size_px)
    return Scene(photograph(generator, picture), label, names[label], objects, class_mask, instance_mask)


def _pick(generator: np.random.Generator, names: list[str]) -> str:
    return names[int(generator.integers(len(names)))]


def _plan(
    generator: np.random.Generator, shape: str, texture: str, size_px: int, max_objects: int
) -> tuple[_Thing, list[_Thing]]:
    """The main object, and smaller ones."""
    while True:
        main = _place(generator, shape, texture, generator.uniform(0.23, 0.5), 0.32, size_px)
        if main.covered.sum() >= _LEAST_INSIDE * main.size:
            break
    others = []
    for _ in range(int(generator.integers(0, max_objects))):
        other, cloth = _pick(generator, list(SHAPES)), _pick(generator, list(TEXTURES))
        thing = _place(generator, other, cloth, generator.uniform(0.07, 0.3), 0.55, size_px)
        if thing.size < 0.55 * main.size:
            others.append(thing)
    return main, others


def _place(
    generator: np.random.Generator, shape: str, texture: str, radius: float, spread: float, size_px: int
) -> _Thing:
    """Anywhere up to `spread` from the middle; more often upright than not."""
    x, y = generator.uniform(0.5 - spread, 0.5 + spread, 2) * size_px
    upright = generator.random() < 0.6
    degrees = generator.uniform(-30, 30) if upright else generator.uniform(0, 360)
    flatness = generator.uniform(0.62, 1.0)
    pose = Pose(
        x,
        y,
        radius * size_px,
        degrees,
        flatness,
        90 * int(generator.integers(2)) + generator.uniform(-20, 20),
    )
    drawn = draw_shape(SHAPES[shape](generator), pose)
    whole = np.asarray(drawn.coverage) > 127
    frame = Image.new("L", (size_px, size_px), 0)
    frame.paste(drawn.coverage, (drawn.left, drawn.top))
    return _Thing(shape, texture, pose, drawn, np.asarray(frame) > 127, int(whole.sum()))


def _order(generator: np.random.Generator, main: _Thing, others: list[_Thing]) -> list[_Thing]:
    """Front to back; without those of which too little would be seen, the main object where enough of it is."""
    place = int(generator.integers(len(others) + 1))
    hidden = np.zeros_like(main.covered)
    for thing in others[:place]:
        hidden |= thing.covered
    if (main.covered & ~hidden).sum() < LEAST_VISIBLE * main.size:
        place = 0
    things = []
    taken = np.zeros_like(main.covered)
    for thing in [*others[:place], main, *others[place:]]:
        seen = int((thing.covered & ~taken).sum())
        if thing is main or seen >= max(_LEAST_SHARE * thing.size, _LEAST_PIXELS * taken.size):
            things.append(thing)
            taken |= thing.covered
    return things


def _describe(
    main: _Thing, things: list[_Thing], size_px: int
) -> tuple[tuple[SceneObject, ...], np.ndarray, np.ndarray]:
    """Objects and masks of things that stand front to back."""
    ordered = [main, *(thing for thing in things if thing is not main)]
    class_mask, instance_mask = np.zeros((2, size_px, size_px), np.uint8)
    for thing in reversed(things):
        class_mask[thing.covered] = list(SHAPES).index(thing.shape) + 1
        instance_mask[thing.covered] = ordered.index(thing) + 1
    objects = []
    for place, thing in enumerate(ordered):
        seen = instance_mask == place + 1
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        hidden = round(1 - int(seen.sum()) / thing.size, 4)
        objects.append(SceneObject(list(SHAPES).index(thing.shape), thing.shape, thing.texture, box, hidden))
    return tuple(objects), class_mask, instance_mask

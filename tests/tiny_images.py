"""Small drawn pictures of three classes, and an experiment on them with a tiny net that trains in seconds."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

CLASSES = {"disc": (205, 60, 55), "square": (50, 150, 75), "stripes": (60, 85, 200)}
"""A class → the colour that its pictures are about."""
SIZE_PX = 32
"""What the net sees of them."""


def draw_picture(label: str, seed: int) -> Image.Image:
    """One picture of a class, 40 to 64 pixels a side: its shape, place, colours and ground follow from the seed."""
    generator = random.Random(f"{label} {seed}")
    width, height = generator.randint(40, 64), generator.randint(40, 64)
    ground = (generator.randint(190, 235),) * 3
    colour = tuple(min(max(value + generator.randint(-30, 30), 0), 255) for value in CLASSES[label])
    image = Image.new("RGB", (width, height), ground)
    draw = ImageDraw.Draw(image)
    size = generator.randint(28, 35)
    left, top = generator.randint(2, width - size - 2), generator.randint(2, height - size - 2)
    box = (left, top, left + size, top + size)
    if label == "disc":
        draw.ellipse(box, fill=colour)
    elif label == "square":
        draw.rectangle(box, fill=colour)
    else:
        for x in range(left, left + size, 7):
            draw.rectangle((x, top, x + 4, top + size), fill=colour)
    return image


def write_pictures(folder: Path, train: int = 18, test: int = 6) -> Path:
    """`train/<class>/*` and `test/<class>/*`, so many of each class; JPEG and PNG by turns."""
    seed = 0
    for split, count in (("train", train), ("test", test)):
        for label in CLASSES:
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed += 1
                ending = ("jpg", "png")[number % 2]
                path = folder / split / label / f"{label} {number:02}.{ending}"
                draw_picture(label, seed).save(path, quality=92)
    return folder


def write_weights(
    path: Path, size_px: tuple[int, int] = (SIZE_PX, SIZE_PX), pictures: Sequence[Image.Image] = ()
) -> Path:
    """A MobileNet of a quarter of the width with random weights, whose batch normalisation knows such pictures.

    So its features tell the classes apart, as after pre-training; statistics of 0 and 1 would leave nothing of them.

    Args:
        path: of the file.
        size_px: height and width of what the net sees.
        pictures: what it knows; those of this module, unless they are given.
    """
    import keras
    import numpy as np

    from kerasft.models.image.backbones import build_image_backbone

    backbone = build_image_backbone(
        "mobilenet", size_px=size_px, weights="none", arguments={"alpha": 0.25}, seed=0
    )
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
            # in the middle of ReLU6's slope nearly all of a picture goes through
            layer.beta.assign(np.full(layer.beta.shape, 3.0))
    known = pictures or [draw_picture(label, -seed) for label in CLASSES for seed in range(16)]
    resized = [np.asarray(picture.resize(size_px[::-1]), np.float32) for picture in known]
    backbone(np.stack(resized), training=True)
    backbone.save_weights(path)
    return path


def write_experiment(folder: Path, **sections: Any) -> Path:
    """A config file beside its pictures and weights, as JSON (which is YAML): 54 to learn from, 18 to measure on.

    Args:
        folder: where they go.
        sections: laid over the config, section by section.
    """
    write_pictures(folder)
    write_weights(folder / "net.weights.h5")
    config: dict[str, Any] = {
        "name": "tiny-images",
        "seed": 0,
        "task": {"type": "image_classification"},
        "data": {
            "train": {"format": "image_folder", "path": "train"},
            "test": {"format": "image_folder", "path": "test"},
            "validation_share": 0.2,
        },
        "model": {
            "preset": "mobilenet",
            "arguments": {"alpha": 0.25},
            "weights": "net.weights.h5",
            "image_size_px": SIZE_PX,
        },
        "train": {
            "head": {"epochs": 6, "learning_rate": 2e-2},
            "epochs": 2,
            "batch_size": 8,
            "precision": "float32",
            "optimizer": {"type": "adamw", "learning_rate": 1e-5, "weight_decay": 0.01},
            "tensorboard": {"every_steps": 1},
        },
        "evaluate": {"bootstrap_samples": 50},
        "export": {"replay_examples": 8},
    }
    for name, section in sections.items():
        config[name] = {**config[name], **section} if isinstance(section, dict) else section
    path = folder / "experiment.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path

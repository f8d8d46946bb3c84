"""Small drawn pictures with boxes of two classes and three sizes, and an experiment on them with a tiny net."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import tiny_images
from PIL import Image, ImageDraw

COLOURS = {"disc": (205, 60, 55), "square": (50, 110, 190)}
"""A class → the colour of its objects."""
SIZE_PX = (64, 96)
"""Height and width of what the net sees."""
PICTURE_PX = (192, 128)
"""Width and height of most pictures; some are wider, some higher."""


def draw_picture(seed: int) -> tuple[Image.Image, list[dict[str, Any]]]:
    """A picture and its objects: every third has a large one, the others a small and a middle one, side by side."""
    chance = random.Random(seed)
    width, height = PICTURE_PX[0] + chance.choice((0, 0, 24)), PICTURE_PX[1] + chance.choice((0, 0, 16))
    image = Image.new("RGB", (width, height), (chance.randint(195, 235),) * 3)
    draw = ImageDraw.Draw(image)
    sizes = [chance.randint(100, 112)] if seed % 3 == 0 else [chance.randint(22, 30), chance.randint(44, 64)]
    chance.shuffle(sizes)
    objects, free = [], width // len(sizes)
    for place, size in enumerate(sizes):
        label = chance.choice(sorted(COLOURS))
        left = place * free + chance.randint(4, free - size - 4)
        top = chance.randint(4, height - size - 4)
        colour = tuple(value + chance.randint(-20, 20) for value in COLOURS[label])
        # the last pixel is drawn too
        corners = (left, top, left + size - 1, top + size - 1)
        (draw.ellipse if label == "disc" else draw.rectangle)(corners, fill=colour)
        sides = {"left": left, "top": top, "right": left + size, "bottom": top + size}
        objects.append({**sides, "label": label})
    return image, objects


def write_pictures(folder: Path, train: int = 48, test: int = 18) -> Path:
    """`train.jsonl` and `test.jsonl`, beside their pictures; JPEG and PNG by turns."""
    seed = 0
    for split, count in (("train", train), ("test", test)):
        (folder / split).mkdir(parents=True)
        lines = []
        for number in range(count):
            image, objects = draw_picture(seed)
            name = f"{split}/{number:02}.{('jpg', 'png')[number % 2]}"
            image.save(folder / name, quality=92)
            lines.append(json.dumps({"image": name, "boxes": objects}) + "\n")
            seed += 1
        (folder / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def write_experiment(folder: Path, **sections: Any) -> Path:
    """A config file beside its pictures and weights, as JSON (which is YAML): 48 to learn from, 18 to measure on.

    Args:
        folder: where they go.
        sections: laid over the config, section by section.
    """
    write_pictures(folder)
    known = [draw_picture(-seed - 1)[0] for seed in range(32)]
    tiny_images.write_weights(folder / "net.weights.h5", SIZE_PX, known)
    config: dict[str, Any] = {
        "name": "tiny-boxes",
        "seed": 0,
        "task": {"type": "object_detection"},
        "data": {
            "train": {"format": "jsonl", "path": "train.jsonl"},
            "test": {"format": "jsonl", "path": "test.jsonl"},
            "validation_share": 0.25,
            "near_duplicates": False,
        },
        "model": {
            "preset": "mobilenet",
            "arguments": {"alpha": 0.25},
            "weights": "net.weights.h5",
            "image_size_px": list(SIZE_PX),
            "channels": 32,
        },
        "train": {
            "head": {"epochs": 12, "learning_rate": 1e-2},
            "epochs": 2,
            "batch_size": 8,
            "optimizer": {"type": "adamw", "learning_rate": 1e-4, "weight_decay": 0.01},
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

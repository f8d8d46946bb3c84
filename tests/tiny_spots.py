"""Drawn pictures of any number of labels each, and an experiment on them with a tiny net whose head alone learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("blue", "green", "red")
CONFIG = """
name: spots
task:
  {type: image_classification, multi_label: true, class_weights: balanced, label_smoothing: 0.0,
   augmentation: {policy: none}}
data:
  train: {format: csv, path: list.csv, columns: {image: file, labels: tags}}
  near_duplicates: false
model: {preset: mobilenet, arguments: {alpha: 0.25}, weights: random.weights.h5, image_size_px: 32}
train:
  head: {epochs: 60, learning_rate: 0.02}
  epochs: 0
  precision: float32
evaluate: {bootstrap_samples: 100}
export: {replay_examples: 8}
"""


def draw_spots(labels: list[str], number: int) -> Image.Image:
    """Grey with a little noise, and a band of each label's colour at a place of its own."""
    pixels = np.random.default_rng(number).integers(120, 136, (32, 32, 3), np.uint8)
    for channel, name in ((2, "blue"), (1, "green"), (0, "red")):
        if name in labels:
            pixels[10 * channel : 10 * channel + 10, :, :] = 0
            pixels[10 * channel : 10 * channel + 10, :, channel] = 255
    return Image.fromarray(pixels)


def list_tags(number: int) -> list[str]:
    return [name for bit, name in enumerate(NAMES) if number >> bit & 1]


def write_weights(path: Path, pictures: list[Image.Image]) -> None:
    """Random ones, whose batch normalisation knows the pictures: a head alone can learn from such features."""
    import keras

    from kerasft.models.image.backbones import build_image_backbone

    net = build_image_backbone("mobilenet", size_px=32, weights="none", arguments={"alpha": 0.25}, seed=0)
    norms = [layer for layer in net._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        layer.momentum = 0.0
    net(np.stack([np.asarray(picture, np.float32) for picture in pictures]), training=True)
    net.save_weights(path)


def write_experiment(folder: Path, count: int = 600) -> Path:
    """The config, beside `count` pictures and their list; each set of labels comes equally often."""
    (folder / "pictures").mkdir(parents=True)
    lines = ["file,tags"]
    pictures = [draw_spots(list_tags(number), number) for number in range(count)]
    write_weights(folder / "random.weights.h5", pictures[:64])
    for number, picture in enumerate(pictures):
        picture.save(folder / "pictures" / f"{number}.png")
        lines.append(f"pictures/{number}.png,{'|'.join(list_tags(number))}")
    (folder / "list.csv").write_text("\n".join(lines))
    (folder / "spots.yaml").write_text(CONFIG)
    return folder / "spots.yaml"

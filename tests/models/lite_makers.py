"""A state dict of EfficientNet-Lite0 with drawn numbers, and pictures for it; of NumPy alone.

The layout is written down here once more, independently of the net that is tested.
"""

from __future__ import annotations

import math
import re

import numpy as np

STAGES = (
    (1, 3, 1, 16),
    (2, 3, 6, 24),
    (2, 5, 6, 40),
    (3, 3, 6, 80),
    (3, 5, 6, 112),
    (4, 5, 6, 192),
    (1, 3, 6, 320),
)
"""Of each stage: blocks, kernel, expansion, channels."""  # fmt: skip


def list_shapes() -> dict[str, tuple[int, ...]]:
    """Every tensor by the names of the package efficientnet-lite-pytorch, the head's and the counters too."""
    shapes: dict[str, tuple[int, ...]] = {"_conv_stem.weight": (32, 3, 3, 3), **_list_norm("_bn0", 32)}
    channels, number = 32, 0
    for blocks, kernel, expansion, outputs in STAGES:
        for _ in range(blocks):
            name, wide = f"_blocks.{number}.", channels * expansion
            if expansion > 1:
                shapes |= {f"{name}_expand_conv.weight": (wide, channels, 1, 1)}
                shapes |= _list_norm(f"{name}_bn0", wide)
            shapes |= {f"{name}_depthwise_conv.weight": (wide, 1, kernel, kernel)}
            shapes |= _list_norm(f"{name}_bn1", wide)
            shapes |= {f"{name}_project_conv.weight": (outputs, wide, 1, 1)}
            shapes |= _list_norm(f"{name}_bn2", outputs)
            channels, number = outputs, number + 1
    shapes |= {"_conv_head.weight": (1280, channels, 1, 1), **_list_norm("_bn1", 1280)}
    return shapes | {"_fc.weight": (1000, 1280), "_fc.bias": (1000,)}


def _list_norm(name: str, channels: int) -> dict[str, tuple[int, ...]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.{part}": (channels,) for part in parts} | {f"{name}.num_batches_tracked": ()}


def draw_arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """Numbers through which pictures come out different from each other."""
    generator = np.random.default_rng(seed)
    arrays: dict[str, np.ndarray] = {}
    for name, shape in list_shapes().items():
        if name.endswith("num_batches_tracked"):
            arrays[name] = np.array(5, np.int64)
        elif name.endswith("running_var") or (len(shape) == 1 and name.endswith("weight")):
            arrays[name] = generator.uniform(0.8, 1.2, shape).astype(np.float32)
        elif len(shape) == 1:
            arrays[name] = (0.2 * generator.standard_normal(shape)).astype(np.float32)
        else:
            scale = math.sqrt(2.0 / math.prod(shape[1:]))
            arrays[name] = (scale * generator.standard_normal(shape)).astype(np.float32)
    return arrays


def rename_as_timm(name: str) -> str:
    """The name of the same tensor in timm's tf_efficientnet_lite0."""
    ends = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
    if match is None:
        layer, part = name.split(".")
        return f"{ends[layer]}.{part}"
    place, layer, part = int(match[1]), match[2], match[3]
    stage, block = next(
        (stage, place - before)
        for stage, (count, *_) in enumerate(STAGES)
        if (before := sum(each[0] for each in STAGES[:stage])) <= place < before + count
    )
    inside = ["_expand_conv", "_bn0", "_depthwise_conv", "_bn1", "_project_conv", "_bn2"]
    theirs = ["conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3"]
    if stage == 0:
        theirs = ["", "", "conv_dw", "bn1", "conv_pw", "bn2"]
    return f"blocks.{stage}.{block}.{theirs[inside.index(layer)]}.{part}"


def draw_pictures(size_px: int) -> np.ndarray:
    """Waves and rings: uint8 (2, size, size, 3)."""
    rows, columns = np.mgrid[0:size_px, 0:size_px] / size_px
    distance = np.hypot(rows - 0.4, columns - 0.6)
    pictures = [
        [np.sin(2 * math.pi * (3 * rows + index * columns)) for index in range(3)],
        [np.cos(2 * math.pi * ((4 + index) * distance)) for index in range(3)],
    ]
    return np.round(127.5 + 127.0 * np.moveaxis(np.array(pictures), 1, -1)).astype(np.uint8)

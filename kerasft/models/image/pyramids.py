"""One feature map out of a backbone's maps of several resolutions: a light neck from the coarsest to the finest.

Each map goes through a 1 × 1 convolution to one width; the coarser one, enlarged, is added to the next finer one, and
the sum goes through a depthwise-separable 3 × 3 convolution. Batch normalisation counts over all pixels of a map, so
that its statistics hold in small batches too.

Source: the top-down path is that of Lin et al. 2017, arXiv:1612.03144; the separable convolutions are those of Tan et
al. 2020, arXiv:1911.09070.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from kerasft.models.image_nets import STRIDES

MOMENTUM = 0.9
"""Of batch normalisation's moving statistics: Keras' 0.99 lags in short trainings."""
FUSED = "fused"
"""The name that the layers of the finest map begin with."""


class LayerMaker:
    """Makes convolutions with names and seeds of their own, each normalised and with a ReLU.

    Args:
        seed: of their weights.
        momentum: of batch normalisation.
        dtype: Keras' policy of the layers; None is the policy in force.
    """

    def __init__(self, seed: int, *, momentum: float = MOMENTUM, dtype: str | None = None):
        self._seed, self._made = seed, 0
        self.momentum, self.dtype = momentum, dtype

    def draw_seed(self) -> int:
        """Another one for each layer."""
        self._made += 1
        return self._seed * 1000 + self._made

    def convolve(self, x: Any, name: str, channels: int, *, activation: bool = True) -> Any:
        """A 1 × 1 convolution."""
        x = keras.layers.Conv2D(
            channels,
            1,
            use_bias=False,
            kernel_initializer=keras.initializers.HeNormal(seed=self.draw_seed()),
            name=f"{name}_conv",
            dtype=self.dtype,
        )(x)
        x = keras.layers.BatchNormalization(momentum=self.momentum, name=f"{name}_bn", dtype=self.dtype)(x)
        return keras.layers.ReLU(name=f"{name}_relu", dtype=self.dtype)(x) if activation else x

    def convolve_separably(self, x: Any, name: str, channels: int) -> Any:
        """Each channel by a 3 × 3 kernel, then all of them by a 1 × 1 convolution."""
        x = keras.layers.DepthwiseConv2D(
            3,
            padding="same",
            use_bias=False,
            # nine numbers: as many as a kernel adds up
            depthwise_initializer=keras.initializers.RandomNormal(stddev=1 / 3, seed=self.draw_seed()),
            name=f"{name}_dwconv",
            dtype=self.dtype,
        )(x)
        return self.convolve(x, name, channels)


def fuse_maps(maps: Mapping[str, Any], make: LayerMaker, *, stride: int, channels: int) -> Any:
    """The maps as one, at the finest stride.

    Args:
        maps: of `build_feature_extractor`: `stride_8`, `stride_16`, … down to 32, the heights and widths known.
        make: makes the layers.
        stride: the finest map's.
        channels: of the result.

    Returns:
        (batch, rows, columns, channels), with the finest map's rows and columns.

    Raises:
        ValueError: there is no map of that stride.
    """
    used = [each for each in STRIDES if each >= stride]
    if f"stride_{stride}" not in maps:
        raise ValueError(f"there is no map at stride {stride}; there are {', '.join(sorted(maps))}")
    fused = None
    for each in reversed(used):
        # the sum is what is activated
        x = make.convolve(maps[f"stride_{each}"], f"lateral_{each}", channels, activation=fused is None)
        if fused is not None:
            larger = _enlarge(fused, x.shape[1:3], f"enlarged_{each}", make)
            x = keras.layers.Add(name=f"sum_{each}", dtype=make.dtype)([x, larger])
            x = make.convolve_separably(x, FUSED if each == stride else f"{FUSED}_{each}", channels)
        fused = x
    return fused


def _enlarge(x: Any, size: tuple[int, int], name: str, make: LayerMaker) -> Any:
    """Each cell as four; Xception's map at stride 4 lacks a row and a column."""
    x = keras.layers.UpSampling2D(2, interpolation="nearest", name=name, dtype=make.dtype)(x)
    more = [has - wanted for has, wanted in zip(x.shape[1:3], size, strict=True)]
    if not any(more):
        return x
    return keras.layers.Cropping2D([(0, each) for each in more], name=f"{name}_cut", dtype=make.dtype)(x)

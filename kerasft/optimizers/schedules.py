"""Learning rate schedules: a linear warm-up, then constant, linear, cosine, polynomial or late decay."""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

Shape = Literal["constant", "linear", "cosine", "polynomial", "wsd"]
DecayShape = Literal["linear", "sqrt"]


@keras.saving.register_keras_serializable(package="kerasft")
class Warmup(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from 0 to the peak, and a fall to `end_share` of it.

    With step s = 0, 1, …, W = `warmup_steps`, T = `total_steps`, η = `peak`, e = `end_share`:

        s < W:  rate(s) = η · s / W
        else:   p = min((s − W) / (T − W), 1)
                rate(s) = η · (e + (1 − e) · f(p))

        constant    f(p) = 1
        linear      f(p) = 1 − p
        cosine      f(p) = (1 + cos(π p)) / 2
        polynomial  f(p) = (1 − p)^power

    `wsd` (warm-up, stable, decay) stays at the peak until the last D = `decay_steps`:

        s < T − D:  rate(s) = η
        else:       q = min((s − (T − D)) / D, 1)
                    rate(s) = η · (e + (1 − e) · f(q))

        linear      f(q) = 1 − q
        sqrt        f(q) = 1 − √q

    So the peak is reached at step W, and the end value at step T: one step after the last of T steps, as in
    Keras' own schedules. From T on the rate stays. Where W ≥ T the fall is left out: the rate is
    η (constant) or the end value from step W on.

    A step is one call of the optimizer, that is one batch of `fit`. With `gradient_accumulation_steps=k`
    Keras' optimizers, and ours, count every batch and not every update: hand in the number of batches.

    Args:
        peak: η, the highest rate, ≥ 0.
        warmup_steps: W, steps until the peak; 0 starts at the peak.
        total_steps: T, steps until the end value; needed unless the shape is `constant`.
        shape: how the rate falls.
        end_share: e, the last rate as a share of the peak, in [0, 1]; without effect on `constant`.
        power: the exponent of `polynomial`, > 0.
        decay_steps: D of `wsd`, from 1 to T − W.
        decay_shape: how the rate of `wsd` falls: `linear` or `sqrt`.
        first_step: the s of the optimizer's first step: what another optimizer has done of the T steps before.

    Raises:
        ValueError: an argument is out of its range.

    Example:

        schedule = Warmup(peak=5e-5, warmup_steps=100, total_steps=1000, shape="linear")
        model.compile(optimizer=keras.optimizers.AdamW(schedule))

    Source: Goyal et al. 2017, arXiv:1706.02677 (linear warm-up); Loshchilov and Hutter 2017,
        arXiv:1608.03983 (cosine); Hu et al. 2024, arXiv:2404.06395 (wsd); Hägele et al. 2024, arXiv:2405.18392
        (its fall by 1 − √q); Devlin et al. 2019, arXiv:1810.04805 (warm-up and linear decay).
    """

    def __init__(
        self,
        peak: float,
        warmup_steps: int = 0,
        total_steps: int | None = None,
        shape: Shape = "linear",
        end_share: float = 0.0,
        power: float = 2.0,
        first_step: int = 0,
        decay_steps: int | None = None,
        decay_shape: DecayShape = "linear",
        name: str = "warmup",
    ):
        super().__init__()
        if shape not in get_args(Shape):
            raise ValueError(f"`shape` must be {', '.join(get_args(Shape)[:-1])} or wsd, got {shape!r}")
        if not (math.isfinite(peak) and peak >= 0):
            raise ValueError(f"`peak` must be a number of 0 or more, got {peak}")
        if warmup_steps < 0:
            raise ValueError(f"`warmup_steps` must be 0 or more, got {warmup_steps}")
        if shape != "constant" and (total_steps is None or total_steps < 1):
            raise ValueError(f"`total_steps` must be 1 or more for shape {shape!r}, got {total_steps}")
        if not 0 <= end_share <= 1:
            raise ValueError(f"`end_share` must lie in [0, 1], got {end_share}")
        if not power > 0:
            raise ValueError(f"`power` must be above 0, got {power}")
        if first_step < 0:
            raise ValueError(f"`first_step` must be 0 or more, got {first_step}")
        if decay_shape not in get_args(DecayShape):
            raise ValueError(f"`decay_shape` must be linear or sqrt, got {decay_shape!r}")
        if shape == "wsd" and not 1 <= (decay_steps or 0) <= (total_steps or 0) - warmup_steps:
            raise ValueError(
                f"`decay_steps` must be from 1 to total_steps − warmup_steps for shape 'wsd', got {decay_steps}"
            )
        self.peak = float(peak)
        self.warmup_steps = int(warmup_steps)
        self.total_steps = None if total_steps is None else int(total_steps)
        self.shape: Shape = shape
        self.end_share = float(end_share)
        self.power = float(power)
        self.first_step = int(first_step)
        self.decay_steps = None if decay_steps is None else int(decay_steps)
        self.decay_shape: DecayShape = decay_shape
        self.name = name

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate at a step: float32 scalar from an integer or float step (tensor, variable or number)."""
        with tf.name_scope(self.name):
            # Steps below 2^24 are exact in float32; the difference is taken in integers to keep them so.
            step = tf.cast(tf.convert_to_tensor(step), tf.int64) + self.first_step
            rate = self.peak * self._remaining(step)
            if self.warmup_steps == 0:
                return rate
            rising = self.peak * (tf.cast(step, tf.float32) / self.warmup_steps)
            return tf.where(step < self.warmup_steps, rising, rate)

    def _remaining(self, step: tf.Tensor) -> tf.Tensor:
        """e + (1 − e)·f(p): the share of the peak that is left, warm-up apart."""
        if self.shape == "constant" or self.total_steps is None:
            return tf.ones([], tf.float32)
        length = max(self.total_steps - self.warmup_steps, 0)
        if self.shape == "wsd" and self.decay_steps is not None:
            length = self.decay_steps
        done = tf.clip_by_value(step - (max(self.total_steps, self.warmup_steps) - length), 0, length)
        left = tf.cast(length - done, tf.float32) / max(length, 1)
        if self.shape == "cosine":
            left = tf.square(tf.sin((math.pi / 2) * left))
        elif self.shape == "polynomial":
            left = tf.pow(left, self.power)
        elif self.shape == "wsd" and self.decay_shape == "sqrt":
            left = 1.0 - tf.sqrt(tf.cast(done, tf.float32) / max(length, 1))
        return self.end_share + (1.0 - self.end_share) * left

    def get_config(self) -> dict[str, Any]:
        return {
            "peak": self.peak,
            "warmup_steps": self.warmup_steps,
            "total_steps": self.total_steps,
            "shape": self.shape,
            "end_share": self.end_share,
            "power": self.power,
            "first_step": self.first_step,
            "decay_steps": self.decay_steps,
            "decay_shape": self.decay_shape,
            "name": self.name,
        }

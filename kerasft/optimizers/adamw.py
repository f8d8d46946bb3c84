"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from kerasft.optimizers.base import GroupedOptimizer


@keras.saving.register_keras_serializable(package="kerasft")
class AdamW(GroupedOptimizer):
    """Adam with decoupled weight decay.

    With g = ∇L(θ) after clipping, slots m and v of θ's shape that start at 0, and t = 1, 2, … the update:

        θ ← θ − η λ θ
        m ← m + (1 − β₁)(g − m)
        v ← v + (1 − β₂)(g² − v)
        θ ← θ − η · √(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    This is Keras' form, "epsilon hat" of Kingma and Ba's section 2: ε stands beside the uncorrected √v. PyTorch
    puts it beside √(v / (1 − β₂ᵗ)); at ε = 1e-7 the two differ only where gradients are that small. Decay comes first
    and uses the value before the step, as in Keras and PyTorch. With λ = 0 this is Adam.

    An embedding's gradient (`IndexedSlices`) is treated as the dense gradient it stands for: rows named
    twice are summed before they are squared, and rows not named still move by their momentum.

    Args:
        learning_rate: η: float, `LearningRateSchedule`, or callable.
        weight_decay: λ, ≥ 0.
        beta_1: β₁ in [0, 1).
        beta_2: β₂ in [0, 1).
        epsilon: ε > 0.
        groups, no_decay, **kwargs: see `kerasft.optimizers.GroupedOptimizer`. Biases and norms are not decayed
            unless asked, where Keras' `AdamW` decays everything: `no_decay=()` does as Keras does.

    Raises:
        ValueError: an argument is out of its range.

    Example:

        optimizer = AdamW(Warmup(5e-5, warmup_steps=100, total_steps=1000), weight_decay=0.01)
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")

    Source: Kingma and Ba 2015, arXiv:1412.6980; Loshchilov and Hutter 2019, arXiv:1711.05101.
    """

    slot_names = ("momentum", "velocity")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        for name, value in (("beta_1", beta_1), ("beta_2", beta_2)):
            if not 0 <= value < 1:
                raise ValueError(f"`{name}` must lie in [0, 1), got {value}")
        if not epsilon > 0:
            raise ValueError(f"`epsilon` must be above 0, got {epsilon}")
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.beta_1 = float(beta_1)
        self.beta_2 = float(beta_2)
        self.epsilon = float(epsilon)

    def update_scalars(self, update):
        number = tf.cast(update, tf.float32)
        return {"correction": tf.sqrt(1 - tf.pow(self.beta_2, number)) / (1 - tf.pow(self.beta_1, number))}

    def update(self, value, gradient, slots, scalars):
        mean, square = slots
        mean = mean + (gradient - mean) * (1 - self.beta_1)
        square = square + (tf.square(gradient) - square) * (1 - self.beta_2)
        rate = scalars["learning_rate"] * scalars["correction"]
        return value - mean * rate / (tf.sqrt(square) + self.epsilon), [mean, square]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }

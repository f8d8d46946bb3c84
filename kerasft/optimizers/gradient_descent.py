"""Gradient descent, with momentum, Nesterov's look-ahead and decoupled weight decay."""

from __future__ import annotations

from typing import Any

import keras

from kerasft.optimizers.base import GroupedOptimizer


@keras.saving.register_keras_serializable(package="kerasft")
class GradientDescent(GroupedOptimizer):
    """Gradient descent.

        θ ← θ − η ∇L(θ)

    With momentum m > 0, v a slot of θ's shape that starts at 0, and g = ∇L(θ) after clipping:

        v ← m v − η g
        θ ← θ + v                   (plain)
        θ ← θ + m v − η g           (nesterov)

    This is Keras' convention: the learning rate is inside the velocity. PyTorch keeps it outside
    (v ← m v + g; θ ← θ − η v), which comes to the same while η is constant; when η changes, the step
    already carried in v follows at once in PyTorch, and here keeps the size it was made with.

    Weight decay is decoupled, and comes first, as in Keras: θ ← θ − η λ θ with θ the value before the step. The
    gradient was taken before it, and the decay does not enter v (unlike PyTorch's `SGD`, which adds λ θ to
    the gradient).

    Slots: the velocity if momentum > 0, else none: memory and traffic are θ's and g's alone.

    Args:
        learning_rate: η: float, `LearningRateSchedule`, or callable.
        momentum: m in [0, 1).
        nesterov: whether to look ahead along the velocity; without effect at momentum 0.
        weight_decay, groups, no_decay, **kwargs: see `kerasft.optimizers.GroupedOptimizer`.

    Raises:
        ValueError: an argument is out of its range.

    Example:

        optimizer = GradientDescent(0.1, momentum=0.9, nesterov=True, global_clipnorm=1.0)
        model.compile(optimizer=optimizer, loss="mse")

    Source: Cauchy 1847; Polyak 1964 (momentum); Nesterov 1983, in the form of Sutskever et al. 2013, "On the
        importance of initialization and momentum in deep learning", ICML; Loshchilov and Hutter 2019,
        arXiv:1711.05101 (decoupled decay).
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float | None = None,
        **kwargs: Any,
    ):
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must lie in [0, 1), got {momentum}")
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)
        self.slot_names = ("momentum",) if self.momentum else ()

    @property
    def moves_without_gradient(self) -> bool:
        return self.momentum > 0

    def zero_gradient(self, value):
        # Not a constant: with one, XLA makes the velocity once for itself and once for θ, and copies the old
        # one into fresh memory to do so, which takes five times as long as the pass.
        return 0.0 * value

    def update(self, value, gradient, slots, scalars):
        step = scalars["learning_rate"] * gradient
        if not slots:
            return value - step, []
        velocity = self.momentum * slots[0] - step
        if self.nesterov:
            return value + (self.momentum * velocity - step), [velocity]
        return value + velocity, [velocity]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}

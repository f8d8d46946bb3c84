"""Muon: momentum whose matrices are made orthogonal, and AdamW for what is no hidden matrix."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasft.optimizers.adamw import AdamW
from kerasft.optimizers.fused import FusedUpdate, Scalars, Slot, cast_scalars
from kerasft.optimizers.groups import GroupSettings, resolve_settings, variable_path
from kerasft.optimizers.matrices import count_matrices
from kerasft.optimizers.newton_schulz import orthogonalise_all


@keras.saving.register_keras_serializable(package="kerasft")
class Muon(AdamW):
    """Momentum, orthogonalised by Newton–Schulz iterations, on hidden matrices; AdamW on all other variables.

    For a hidden matrix θ of shape (A, B), with g = ∇L(θ) after clipping and a slot m of θ's shape that starts at 0:

        θ ← θ − η λ θ
        m ← μ m + g
        u = g + μ m  (nesterov)   or   u = m
        θ ← θ − η · r · √max(A, B) · NS(u)

    NS(u) is nearly U·Vᵀ where u = U·S·Vᵀ: all directions of the update are equally long (see
    `kerasft.optimizers.newton_schulz`). The elements of U·Vᵀ have a root mean square of 1 / √max(A, B), so that r is
    that of the update, whatever the shape. At r = 0.2 it is what AdamW's usually is, and AdamW's rates and decays serve
    for both kinds of variables. This is what `keras.optimizers.Muon` computes.

    Hidden matrices are kernels (inputs, outputs) that match none of `adamw_match`: so embeddings, norms and biases
    are AdamW's (see `kerasft.optimizers.groups.variable_kind`), and so is the head, which must be named, since
    nothing in its variables tells it from other layers. A layer can say that a kernel is several matrices side by side,
    such as query, key and value, or none (`kerasft.optimizers.matrices.declare_matrices`): LoRA's factors are none,
    since it is their product that acts as a matrix. Kernels with more than two axes, such as those of
    convolutions, are AdamW's too.

    A matrix has one slot, where AdamW has two: Muon takes less memory. Its time is that of the matrix products: with
    A ≤ B, each iteration takes 4·A²·B + 2·A³ operations a matrix, whatever the batch's size. So the larger the batch,
    the smaller the share of a step that it takes.

    Args:
        learning_rate: η: float, `LearningRateSchedule`, or callable; that of AdamW is times `adamw_rate_scale`.
        weight_decay: λ ≥ 0 of hidden matrices.
        momentum: μ in [0, 1).
        nesterov: whether to look ahead along the momentum.
        newton_schulz_steps: iterations, ≥ 1.
        update_rms: r > 0; None: the update is NS(u) itself.
        adamw_rate_scale: AdamW's rate as a multiple of η, > 0.
        adamw_weight_decay: AdamW's decay, ≥ 0; None: as `weight_decay`.
        adamw_match: regular expressions; variables are AdamW's where one is found in their path.
        beta_1, beta_2, epsilon: of AdamW.
        groups, no_decay, **kwargs: see `kerasft.optimizers.GroupedOptimizer`; rate scales multiply.

    Raises:
        ValueError: an argument is out of its range.

    Example:

        optimizer = Muon(Warmup(1e-3, warmup_steps=100, total_steps=1000), weight_decay=0.1, adamw_match=["^logits/"])
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982 (weight
        decay, and the update's root mean square).
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        momentum: float = 0.95,
        nesterov: bool = True,
        newton_schulz_steps: int = 5,
        update_rms: float | None = 0.2,
        adamw_rate_scale: float = 1.0,
        adamw_weight_decay: float | None = None,
        adamw_match: Iterable[str] = (),
        **kwargs: Any,
    ):
        if not 0 <= momentum < 1:
            raise ValueError(f"`momentum` must lie in [0, 1), got {momentum}")
        if newton_schulz_steps < 1:
            raise ValueError(f"`newton_schulz_steps` must be 1 or more, got {newton_schulz_steps}")
        for name, value in (("update_rms", update_rms), ("adamw_rate_scale", adamw_rate_scale)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"`{name}` must be a number above 0, got {value}")
        if adamw_weight_decay is not None and not adamw_weight_decay >= 0:
            raise ValueError(f"`adamw_weight_decay` must be 0 or more, got {adamw_weight_decay}")
        super().__init__(learning_rate, weight_decay=weight_decay, **kwargs)
        self.momentum = float(momentum)
        self.nesterov = bool(nesterov)
        self.newton_schulz_steps = int(newton_schulz_steps)
        self.update_rms = None if update_rms is None else float(update_rms)
        self.adamw_rate_scale = float(adamw_rate_scale)
        self.adamw_weight_decay = adamw_weight_decay
        self.adamw_match = tuple(adamw_match)
        for expression in self.adamw_match:
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(
                    f"`adamw_match` has no regular expression: {expression!r} ({error})"
                ) from error
        self._last_pass = FusedUpdate(self._advance_matrix, self.jit_compile)

    def count_matrices(self, variable: Any) -> int:
        path = variable_path(variable)
        if any(re.search(expression, path) for expression in self.adamw_match):
            return 0
        return count_matrices(variable)

    def slots_of(self, variable: Any) -> Sequence[str]:
        return ("momentum",) if self.count_matrices(variable) else self.slot_names

    def resolve_settings(self, variable: Any) -> GroupSettings:
        if self.count_matrices(variable):
            return super().resolve_settings(variable)
        decay = self.weight_decay if self.adamw_weight_decay is None else self.adamw_weight_decay
        settings = resolve_settings(variable, self.groups, self.no_decay, decay)
        scale = settings.learning_rate_scale * self.adamw_rate_scale
        return dataclasses.replace(settings, learning_rate_scale=scale)

    def run_updates(self, slots: Sequence[Slot]) -> None:
        super().run_updates([slot for slot in slots if not slot.matrices])
        hidden = [slot for slot in slots if slot.matrices]
        parts: list[tf.Tensor] = []
        for slot in hidden:
            parts += tf.split(self._advance_momentum(slot), slot.matrices, axis=1)
        parts = orthogonalise_all(parts, self.newton_schulz_steps)
        updates, first = [], 0
        for slot in hidden:
            own = [self._scale(part) for part in parts[first : first + slot.matrices]]
            first += slot.matrices
            updates.append(dataclasses.replace(slot, gradient=tf.concat(own, axis=1), slots=[]))
        self._last_pass.run(updates)

    def _advance_momentum(self, slot: Slot) -> tf.Tensor:
        """Moves a matrix' momentum, and gives what is to be orthogonalised. Takes no time beside the iterations."""
        (momentum,) = slot.slots
        scalars = cast_scalars(slot.scalars, momentum.dtype)
        gradient = self.clip(tf.cast(tf.convert_to_tensor(slot.gradient), momentum.dtype), scalars)
        if isinstance(slot.gradient, tf.Variable):
            slot.gradient.assign(tf.zeros_like(slot.gradient))
        moved = self.momentum * momentum.read_value() + gradient
        momentum.assign(moved)
        return gradient + self.momentum * moved if self.nesterov else moved

    def _scale(self, matrix: tf.Tensor) -> tf.Tensor:
        return (
            matrix if self.update_rms is None else matrix * (self.update_rms * math.sqrt(max(matrix.shape)))
        )

    def _advance_matrix(self, value, update, slots, average, scalars: Scalars):
        """A matrix' update, once it is orthogonal; as `_advance`."""
        scalars = cast_scalars(scalars, value.dtype)

        def move(value, update, slots, scalars):
            return value - scalars["learning_rate"] * update, list(slots)

        return self.decay_and_update(value, update, slots, average, scalars, move)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
            "newton_schulz_steps": self.newton_schulz_steps,
            "update_rms": self.update_rms,
            "adamw_rate_scale": self.adamw_rate_scale,
            "adamw_weight_decay": self.adamw_weight_decay,
            "adamw_match": list(self.adamw_match),
        }

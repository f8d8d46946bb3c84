"""One update of all variables on one device: clipping, decay, the equation, the moving average, the constraints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from kerasft.optimizers.fused import FusedUpdate, Scalars, Slot
from kerasft.optimizers.gradients import Gradient, clipping_factors, sum_duplicates
from kerasft.optimizers.groups import GroupSettings
from kerasft.optimizers.replicas import Pick, as_gradient, unwrap

if TYPE_CHECKING:
    from kerasft.optimizers.base import GroupedOptimizer


class BuildState:
    """What belongs to one build. A plain object, so that Keras neither tracks nor saves it."""

    def __init__(self, fused: FusedUpdate):
        self.fused = fused
        self.slots: list[list[Any]] = []
        self.settings: list[GroupSettings] = []
        # Of each variable, how many matrices that are updated as such stand side by side in it.
        self.matrices: list[int] = []
        self.norm: Any = None
        # With accumulation: updates done, and batches and denominators since the last.
        self.updates: Any = None
        self.batches: Any = None
        self.denominator: Any = None
        # Of the variables that have gradients.
        self.places: list[int] = []


class DeviceUpdate:
    """An optimizer's updates on one of the devices that hold a copy of its variables.

    Args:
        optimizer: built.
        state: of its build.
        pick: what picks the device's own copy.
    """

    def __init__(self, optimizer: GroupedOptimizer, state: BuildState, pick: Pick):
        self._optimizer, self._state, self._pick = optimizer, state, pick

    def apply(
        self, gradients: Sequence[Any], places: list[int], rate: Any, batch: Any, denominator: Any
    ) -> None:
        """An update with a batch's gradients; with accumulation, one of its batches, and every k-th an update.

        Args:
            gradients: of the device, summed over replicas.
            places: the variables they are of, as the optimizer counts them.
            rate: η, a float32 scalar.
            batch: its number, from 1.
            denominator: what its loss was divided by; None: not known.
        """
        optimizer, state, pick = self._optimizer, self._state, self._pick
        summed: list[Gradient] = [sum_duplicates(as_gradient(gradient)) for gradient in gradients]
        if not optimizer.gradient_accumulation_steps:
            factor = 1.0 / float(optimizer.loss_scale_factor or 1.0)
            self._update(places, summed, factor, rate, batch)
            return
        state.places = places
        for place, gradient in zip(places, summed, strict=True):
            total = pick(unwrap(optimizer._accumulated_gradients[place]))
            state.fused.accumulate(total, gradient, denominator)
        pick(unwrap(state.denominator)).assign_add(tf.ones([]) if denominator is None else denominator)
        batches = pick(unwrap(state.batches))
        batches.assign_add(1)

        def update() -> tf.Tensor:
            self.apply_accumulated(places, rate)
            return tf.constant(0)

        tf.cond(batches >= optimizer.gradient_accumulation_steps, update, lambda: tf.constant(0))

    def apply_accumulated(self, places: list[int], rate: Any) -> None:
        """One update of all that is accumulated, after which nothing is."""
        optimizer, state, pick = self._optimizer, self._state, self._pick
        sums = [pick(unwrap(optimizer._accumulated_gradients[place])) for place in places]
        denominator, batches, updates = (
            pick(unwrap(each)) for each in (state.denominator, state.batches, state.updates)
        )
        factor = tf.math.divide_no_nan(1.0, denominator * float(optimizer.loss_scale_factor or 1.0))
        updates.assign_add(1)
        self._update(places, sums, factor, rate, updates.read_value())
        denominator.assign(0.0)
        batches.assign(0)

    def _update(self, places: list[int], gradients: Any, factor: Any, rate: Any, number: Any) -> None:
        optimizer, state, pick = self._optimizer, self._state, self._pick
        factors, norm = clipping_factors(
            gradients,
            factor,
            clipnorm=optimizer.clipnorm,
            global_clipnorm=optimizer.global_clipnorm,
            measure=state.norm is not None,
        )
        if state.norm is not None:
            pick(unwrap(state.norm)).assign(norm)
        shared = self._compute_shared_scalars(number)
        optimizer.run_updates(self._list_slots(places, gradients, factors, rate, shared))
        self._average_the_rest(places, shared)
        for place in places:
            constraint = getattr(optimizer._trainable_variables[place], "constraint", None)
            if constraint is not None:
                variable = self._pick_variable(place)
                variable.assign(tf.cast(constraint(variable.read_value()), variable.dtype))

    def _compute_shared_scalars(self, number: Any) -> Scalars:
        """Those that all variables have in common in this update."""
        optimizer = self._optimizer
        shared = optimizer.update_scalars(number)
        if optimizer.use_ema:
            shared["ema_momentum"] = tf.where(number > 1, float(optimizer.ema_momentum), 0.0)
            if optimizer.ema_overwrite_frequency:
                shared["ema_overwrites"] = tf.equal(number % optimizer.ema_overwrite_frequency, 0)
        return shared

    def _list_slots(
        self, places: list[int], gradients: Any, factors: Any, rate: Any, shared: Scalars
    ) -> list[Slot]:
        """Each variable with what its update depends on."""
        optimizer, state = self._optimizer, self._state
        rates = {scale: rate * scale for scale in {s.learning_rate_scale for s in state.settings}}
        decays = {decay: tf.constant(decay) for decay in {s.weight_decay for s in state.settings}}
        slots = []
        for place, gradient, gradient_factor in zip(places, gradients, factors, strict=True):
            settings = state.settings[place]
            scalars = {"learning_rate": rates[settings.learning_rate_scale], **shared}
            if any(decays):
                scalars["weight_decay"] = decays[settings.weight_decay]
            if gradient_factor is not None:
                scalars["gradient_factor"] = gradient_factor
            slots.append(
                Slot(
                    variable=self._pick_variable(place),
                    gradient=gradient,
                    slots=[self._pick(unwrap(slot)) for slot in state.slots[place]],
                    average=self._pick_average(place),
                    matrices=state.matrices[place],
                    scalars=scalars,
                    moves_without_gradient=bool(
                        optimizer.moves_without_gradient or settings.weight_decay or optimizer.use_ema
                    ),
                )
            )
        return slots

    def _pick_variable(self, place: int) -> tf.Variable:
        return self._pick(unwrap(self._optimizer._trainable_variables[place]))

    def _pick_average(self, place: int) -> tf.Variable | None:
        optimizer = self._optimizer
        average = optimizer._model_variables_moving_average[place] if optimizer.use_ema else None
        return None if average is None else self._pick(unwrap(average))

    def _average_the_rest(self, places: Sequence[int], scalars: Scalars) -> None:
        """Moves the averages of variables that had no gradient in this step."""
        optimizer = self._optimizer
        if not optimizer.use_ema:
            return
        for place in sorted(set(range(len(optimizer._trainable_variables))) - set(places)):
            average = self._pick_average(place)
            if average is None:
                continue
            variable = self._pick_variable(place)
            cast = {"ema_momentum": tf.cast(scalars["ema_momentum"], variable.dtype)}
            average.assign(move_average(average.read_value(), variable.read_value(), cast))
            if "ema_overwrites" in scalars:
                variable.assign(tf.where(scalars["ema_overwrites"], average, variable))


def move_average(average: tf.Tensor, value: tf.Tensor, scalars: Scalars) -> tf.Tensor:
    """The moving average after an update: m·a + (1 − m)·θ."""
    momentum = scalars["ema_momentum"]
    return momentum * average + (1 - momentum) * value

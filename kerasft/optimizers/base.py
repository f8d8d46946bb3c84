"""The base of kerasft's optimizers: Keras' own interface, with parameter groups and a fused step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasft.optimizers.denominators import take_denominator
from kerasft.optimizers.fused import FusedUpdate, Scalars, Slot, cast_scalars
from kerasft.optimizers.gradients import scale
from kerasft.optimizers.groups import KINDS, GroupSettings, ParameterGroup, resolve_settings
from kerasft.optimizers.replicas import Pick, as_gradient, list_copies, unwrap
from kerasft.optimizers.update import BuildState, DeviceUpdate, move_average


class GroupedOptimizer(keras.optimizers.Optimizer):
    """A Keras optimizer with parameter groups, right under `tf.distribute`, in one pass over memory a step.

    A step takes the gradients g of the batch and does, in this order:

        1. g ← g / loss_scale_factor, summed over replicas, repeated rows of an `IndexedSlices` summed
        2. accumulation: g ← Σ d·g / Σ d over k batches; what follows happens on every k-th batch only
        3. clipping: clipnorm, global_clipnorm or clipvalue
        4. decoupled weight decay: θ ← θ − η·s·λ·θ
        5. the subclass' equation with the rate η·s
        6. the moving average: a ← m·a + (1 − m)·θ, and, every `ema_overwrite_frequency` updates, θ ← a
        7. the variables' constraints

    with η the learning rate, s the variable's rate scale and λ its decay, both from its groups.

    It differs from Keras' base class, which it inherits from, in three ways. Clipping sees the gradient that is
    applied, summed over replicas, where Keras clips each replica's share. Rows that an embedding's
    gradient names twice are summed before they are squared. With accumulation the moving average
    moves once an update, where Keras moves it on every batch: so k batches of n come to one of k·n.

    d is what a batch's loss was divided by (its examples, tokens or weights), where the loss tells it: kerasft's own
    losses do, see `kerasft.optimizers.denominators`. So k batches of any sizes, and parts of a batch on several
    replicas, come to the one batch of them all. Of other losses d is 1: each batch weighs the same, as in Keras, and
    so does each replica's part. Batches that are left at the end of `fit`, no multiple of k, make a last update
    with the rate of the last of them.

    `iterations` counts updates; a schedule is asked with the number of batches (Keras' convention).

    Subclasses give `slot_names`, `update_scalars`, `update` and `moves_without_gradient`.

    Args:
        learning_rate: η: float, `LearningRateSchedule`, or callable.
        weight_decay: λ for variables that no group and no `no_decay` says otherwise of; None or 0: no decay.
        groups: exceptions by variable path, the first that matches holds; `ParameterGroup`s, or
            mappings of its arguments.
        no_decay: kinds of variables that are not decayed: of `bias`, `norm`, `embedding`, `weight`
            (see `kerasft.optimizers.groups.variable_kind`).
        measure_gradient_norm: keeps `global_gradient_norm` up to date; global_clipnorm and clipnorm do so anyway.
        jit_compile: compiles the update, and the update only, with XLA.
        clipnorm, clipvalue, global_clipnorm, use_ema, ema_momentum, ema_overwrite_frequency,
            loss_scale_factor, gradient_accumulation_steps, name: as in `keras.optimizers.Optimizer`.

    Raises:
        ValueError: an argument is out of its range.
    """

    slot_names: tuple[str, ...] = ()

    def __init__(
        self,
        learning_rate: Any,
        *,
        weight_decay: float | None = None,
        groups: Iterable[ParameterGroup | Mapping[str, Any]] = (),
        no_decay: Iterable[str] = ("bias", "norm"),
        measure_gradient_norm: bool = False,
        jit_compile: bool = True,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
    ):
        super().__init__(
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
        )
        unknown = sorted(set(no_decay) - set(KINDS))
        if unknown:
            raise ValueError(f"`no_decay` names kinds of {', '.join(KINDS)}; got {', '.join(unknown)}")
        if weight_decay is not None and not weight_decay >= 0:
            raise ValueError(f"`weight_decay` must be 0 or more, got {weight_decay}")
        self.groups = tuple(g if isinstance(g, ParameterGroup) else ParameterGroup(**g) for g in groups)
        self.no_decay = tuple(no_decay)
        self.measure_gradient_norm = bool(measure_gradient_norm)
        self.jit_compile = bool(jit_compile)
        self._state = BuildState(FusedUpdate(self._advance, self.jit_compile))

    # What a subclass says

    def update_scalars(self, update: tf.Tensor) -> Scalars:
        """Numbers that all variables share in an update: float32 scalars by name.

        Args:
            update: int64 scalar, the number of this update, from 1.
        """
        return {}

    def update(
        self, value: tf.Tensor, gradient: tf.Tensor, slots: Sequence[tf.Tensor], scalars: Scalars
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """The equation: elementwise, all of one shape and dtype; `scalars["learning_rate"]` is η·s."""
        raise NotImplementedError

    @property
    def moves_without_gradient(self) -> bool:
        """Whether a row with gradient zero still changes, weight decay apart."""
        return True

    def zero_gradient(self, value: tf.Tensor) -> tf.Tensor:
        """Zeros like the value, for rows that an embedding's gradient does not name."""
        return tf.zeros_like(value)

    def slots_of(self, variable: Any) -> Sequence[str]:
        """Which of `slot_names` a variable has."""
        return self.slot_names

    def count_matrices(self, variable: Any) -> int:
        """How many matrices that are updated as such stand side by side in a variable; 0: it is updated by element."""
        return 0

    def run_updates(self, slots: Sequence[Slot]) -> None:
        """Updates the variables of one device, clipped and counted; the base does so in one pass over memory."""
        self._state.fused.run(slots)

    # Keras' interface

    @property
    def iterations(self) -> Any:
        """Updates done: an integer variable."""
        return self._iterations if self._state.updates is None else self._state.updates

    @property
    def global_gradient_norm(self) -> Any:
        """√Σ g² over all variables in the last update, before clipping: a float32 variable.

        Not finite where a gradient was not. Under accumulation it is the mean gradient's, and stays between
        updates. None unless it is measured: see `measure_gradient_norm`; None before `build`.
        """
        return self._state.norm

    def build(self, variables: Sequence[Any]) -> None:
        """Creates the slots and settles each variable's group. A second call changes nothing."""
        if self.built:
            return
        variables = list(variables)
        super().build(variables)
        state = self._state
        state.slots = [[] for _ in variables]
        for name in self.slot_names:
            places = [place for place, variable in enumerate(variables) if name in self.slots_of(variable)]
            made = self.add_optimizer_variables([variables[place] for place in places], name)
            for place, slot in zip(places, made, strict=True):
                state.slots[place].append(slot)
        state.matrices = [self.count_matrices(variable) for variable in variables]
        state.settings = [self.group_settings(variable) for variable in variables]
        if self.measure_gradient_norm or self.global_clipnorm or self.clipnorm:
            state.norm = self._add_scalar("float32", "global_gradient_norm")
        if self.gradient_accumulation_steps:
            state.updates = self._add_scalar("int32", "updates")
            state.batches = self._add_scalar("int32", "accumulated_batches")
            state.denominator = self._add_scalar("float32", "accumulated_denominator")

    def _add_scalar(self, dtype: str, name: str) -> Any:
        return self.add_variable(
            (), dtype=dtype, initializer="zeros", aggregation="only_first_replica", name=name
        )

    def group_settings(self, variable: Any) -> GroupSettings:
        """The rate scale and decay that hold for a variable."""
        settings = self.resolve_settings(variable)
        if self._use_weight_decay(variable):
            return settings
        return dataclasses.replace(settings, weight_decay=0.0)

    def resolve_settings(self, variable: Any) -> GroupSettings:
        """The same, but for what Keras' `exclude_from_weight_decay` says."""
        return resolve_settings(variable, self.groups, self.no_decay, self.weight_decay)

    def apply(self, grads: Iterable[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """One step. See `keras.optimizers.Optimizer.apply`; the order of things is in the class' docstring."""
        gradients = list(grads)
        if not gradients:
            return
        variables = self._known_variables(gradients, trainable_variables)
        gradients, variables = self._filter_empty_gradients(gradients, variables)
        gradients, variables = self._overwrite_variables_directly_with_gradients(gradients, variables)
        if gradients:
            rate = tf.cast(tf.convert_to_tensor(self.learning_rate), tf.float32)
            batch = tf.convert_to_tensor(self._iterations) + 1
            self._apply_on_replicas(gradients, variables, rate, batch)
        self._iterations.assign_add(1)

    def apply_accumulated(self) -> None:
        """Makes an update of the batches that are accumulated and too few for one; nothing where there are none.

        With the learning rate of the last of them. Eager, between steps; `fit` does it at its end.
        """
        state = self._state
        if state.batches is None or not keras.ops.convert_to_numpy(state.batches):
            return
        rate = self._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            rate = rate(tf.convert_to_tensor(self._iterations) - 1)
        else:
            rate = self.learning_rate
        rate = tf.cast(tf.convert_to_tensor(rate), tf.float32)
        # with a loss scale that let no step through, nothing was traced and nothing accumulated
        places = state.places or list(range(len(self._trainable_variables)))
        variables = [self._trainable_variables[place] for place in places]
        strategy = getattr(unwrap(variables[0]), "distribute_strategy", None)
        for pick, device in list_copies(strategy, variables[0]):
            with tf.device(device):
                DeviceUpdate(self, state, pick).apply_accumulated(places, rate)

    def finalize_variable_values(self, var_list: Any) -> None:
        """What `fit` calls at its end: an update of what is accumulated, then Keras' own, the moving average."""
        self.apply_accumulated()
        super().finalize_variable_values(var_list)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": [dataclasses.asdict(group) for group in self.groups],
            "no_decay": list(self.no_decay),
            "measure_gradient_norm": self.measure_gradient_norm,
            "jit_compile": self.jit_compile,
        }

    # How a step is made

    def _known_variables(self, grads: list[Any], variables: Iterable[Any] | None) -> list[Any]:
        if variables is None:
            if not self.built:
                raise ValueError("build the optimizer, or pass the variables with their gradients")
            variables = self._trainable_variables
        variables = list(variables)
        if len(grads) != len(variables):
            raise ValueError(f"{len(grads)} gradients for {len(variables)} variables")
        if not self.built:
            self.build(variables)
        self._check_variables_are_known(variables)
        return variables

    def _apply_on_replicas(self, grads: list[Any], variables: list[Any], rate, batch) -> None:
        """The step on each device that holds a copy of the variables, with the same gradients on all."""
        if not tf.distribute.has_strategy():
            # one batch is its own mean
            denominator = take_denominator() if self.gradient_accumulation_steps else None
            self._apply_on_device(lambda value: value, grads, variables, rate, batch, denominator)
            return

        def on_all(strategy, grads, rate, batch, denominator):
            for pick, device in list_copies(strategy, variables[0]):
                with tf.device(device):
                    picked = [pick(gradient) for gradient in grads]
                    own = None if denominator is None else pick(denominator)
                    self._apply_on_device(pick, picked, variables, pick(rate), pick(batch), own)

        replica = tf.distribute.get_replica_context()
        if replica is None:
            on_all(tf.distribute.get_strategy(), grads, rate, batch, None)
            return
        denominator = take_denominator()
        if denominator is not None:
            own, denominator = denominator, replica.all_reduce(tf.distribute.ReduceOp.SUM, denominator)
            # each replica's loss is divided by their number, as Keras does
            share = replica.num_replicas_in_sync * tf.math.divide_no_nan(own, denominator)
            grads = [scale(as_gradient(gradient), share) for gradient in grads]
        grads = replica.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        replica.merge_call(on_all, args=(grads, rate, batch, denominator))

    def _apply_on_device(
        self, pick: Pick, grads: list[Any], variables: list[Any], rate, batch, denominator
    ) -> None:
        places = [self._get_variable_index(variable) for variable in variables]
        DeviceUpdate(self, self._state, pick).apply(grads, places, rate, batch, denominator)

    def _advance(self, value, gradient, slots, average, scalars: Scalars):
        """One variable's update as a pure function of tensors; None for a gradient of zeros."""
        scalars = cast_scalars(scalars, value.dtype)
        slots = [tf.convert_to_tensor(slot) for slot in slots]
        if gradient is None:
            gradient = self.zero_gradient(value)
        gradient = self.clip(tf.cast(gradient, value.dtype), scalars)
        return self.decay_and_update(value, gradient, slots, average, scalars, self.update)

    def clip(self, gradient: tf.Tensor, scalars: Scalars) -> tf.Tensor:
        """A gradient, scaled and clipped; scalars of its dtype."""
        if "gradient_factor" in scalars:
            gradient = gradient * scalars["gradient_factor"]
        if self.clipvalue:
            gradient = tf.clip_by_value(gradient, -self.clipvalue, self.clipvalue)
        return gradient

    def decay_and_update(self, value, gradient, slots, average, scalars: Scalars, update: Callable):
        """Weight decay, an equation such as `update`, and the moving average; scalars of the value's dtype."""
        if "weight_decay" in scalars:
            value = value - value * (scalars["weight_decay"] * scalars["learning_rate"])
        value, slots = update(value, gradient, slots, scalars)
        if average is not None:
            average = move_average(tf.convert_to_tensor(average), value, scalars)
            if "ema_overwrites" in scalars:
                value = tf.where(scalars["ema_overwrites"], average, value)
        return value, slots, average

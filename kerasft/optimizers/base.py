"""The base of kerasft's optimizers: Keras' own interface, with parameter groups and a fused step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from kerasft.optimizers.denominators import take_denominator
from kerasft.optimizers.fused import FusedUpdate, Scalars, Slot
from kerasft.optimizers.gradients import Gradient, clipping_factors, scale, sum_duplicates
from kerasft.optimizers.groups import KINDS, GroupSettings, ParameterGroup, resolve_settings

# Picks this device's own copy of a variable or a tensor.
_Pick = Callable[[Any], Any]


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
        self._state = _State(FusedUpdate(self._advance, self.jit_compile))

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
        columns = [self.add_optimizer_variables(variables, name) for name in self.slot_names]
        state = self._state
        state.slots = (
            [list(each) for each in zip(*columns, strict=True)] if columns else [[] for _ in variables]
        )
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
        settings = resolve_settings(variable, self.groups, self.no_decay, self.weight_decay)
        if self._use_weight_decay(variable):
            return settings
        return dataclasses.replace(settings, weight_decay=0.0)

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
        strategy = getattr(_unwrap(variables[0]), "distribute_strategy", None)
        for pick, device in _list_copies(strategy, variables[0]):
            with tf.device(device):
                self._update_accumulated(pick, places, rate)

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
            for pick, device in _list_copies(strategy, variables[0]):
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
            grads = [scale(_as_gradient(gradient), share) for gradient in grads]
        grads = replica.all_reduce(tf.distribute.ReduceOp.SUM, grads)
        replica.merge_call(on_all, args=(grads, rate, batch, denominator))

    def _apply_on_device(
        self, pick: _Pick, grads: list[Any], variables: list[Any], rate, batch, denominator
    ) -> None:
        state = self._state
        places = [self._get_variable_index(variable) for variable in variables]
        gradients: list[Gradient] = [sum_duplicates(_as_gradient(gradient)) for gradient in grads]
        if not self.gradient_accumulation_steps:
            factor = 1.0 / float(self.loss_scale_factor or 1.0)
            self._update_all(pick, places, gradients, factor, rate, batch)
            return
        state.places = places
        for place, gradient in zip(places, gradients, strict=True):
            total = pick(_unwrap(self._accumulated_gradients[place]))
            state.fused.accumulate(total, gradient, denominator)
        pick(_unwrap(state.denominator)).assign_add(tf.ones([]) if denominator is None else denominator)
        batches = pick(_unwrap(state.batches))
        batches.assign_add(1)

        def update() -> tf.Tensor:
            self._update_accumulated(pick, places, rate)
            return tf.constant(0)

        tf.cond(batches >= self.gradient_accumulation_steps, update, lambda: tf.constant(0))

    def _update_accumulated(self, pick: _Pick, places: list[int], rate) -> None:
        """One update of all that is accumulated on one device, after which nothing is."""
        state = self._state
        sums = [pick(_unwrap(self._accumulated_gradients[place])) for place in places]
        denominator, batches, updates = (
            pick(_unwrap(each)) for each in (state.denominator, state.batches, state.updates)
        )
        factor = tf.math.divide_no_nan(1.0, denominator * float(self.loss_scale_factor or 1.0))
        updates.assign_add(1)
        self._update_all(pick, places, sums, factor, rate, updates.read_value())
        denominator.assign(0.0)
        batches.assign(0)

    def _update_all(self, pick: _Pick, places, gradients, factor, rate, number) -> None:
        """Clipping, decay, the equation, the average and the constraints for all variables on one device."""
        state = self._state
        factors, norm = clipping_factors(
            gradients,
            factor,
            clipnorm=self.clipnorm,
            global_clipnorm=self.global_clipnorm,
            measure=state.norm is not None,
        )
        if state.norm is not None:
            pick(_unwrap(state.norm)).assign(norm)
        shared = self.update_scalars(number)
        if self.use_ema:
            shared["ema_momentum"] = tf.where(number > 1, float(self.ema_momentum), 0.0)
            if self.ema_overwrite_frequency:
                shared["ema_overwrites"] = tf.equal(number % self.ema_overwrite_frequency, 0)
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
                    variable=pick(_unwrap(self._trainable_variables[place])),
                    gradient=gradient,
                    slots=[pick(_unwrap(slot)) for slot in state.slots[place]],
                    average=self._average(pick, place),
                    scalars=scalars,
                    moves_without_gradient=bool(
                        self.moves_without_gradient or settings.weight_decay or self.use_ema
                    ),
                )
            )
        state.fused.run(slots)
        self._average_the_rest(pick, places, shared)
        for place in places:
            constraint = getattr(self._trainable_variables[place], "constraint", None)
            if constraint is not None:
                variable = pick(_unwrap(self._trainable_variables[place]))
                variable.assign(tf.cast(constraint(variable.read_value()), variable.dtype))

    def _advance(self, value, gradient, slots, average, scalars: Scalars):
        """One variable's update as a pure function of tensors; None for a gradient of zeros."""
        scalars = {n: tf.cast(s, value.dtype) if s.dtype.is_floating else s for n, s in scalars.items()}
        slots = [tf.convert_to_tensor(slot) for slot in slots]
        if gradient is None:
            gradient = self.zero_gradient(value)
        gradient = tf.cast(gradient, value.dtype)
        if "gradient_factor" in scalars:
            gradient = gradient * scalars["gradient_factor"]
        if self.clipvalue:
            gradient = tf.clip_by_value(gradient, -self.clipvalue, self.clipvalue)
        if "weight_decay" in scalars:
            value = value - value * (scalars["weight_decay"] * scalars["learning_rate"])
        value, slots = self.update(value, gradient, slots, scalars)
        if average is not None:
            average = _moved_average(tf.convert_to_tensor(average), value, scalars)
            if "ema_overwrites" in scalars:
                value = tf.where(scalars["ema_overwrites"], average, value)
        return value, slots, average

    def _average(self, pick: _Pick, place: int) -> tf.Variable | None:
        average = self._model_variables_moving_average[place] if self.use_ema else None
        return None if average is None else pick(_unwrap(average))

    def _average_the_rest(self, pick: _Pick, places: Sequence[int], scalars: Scalars) -> None:
        """Moves the averages of variables that had no gradient in this step."""
        if not self.use_ema:
            return
        for place in sorted(set(range(len(self._trainable_variables))) - set(places)):
            average = self._average(pick, place)
            if average is None:
                continue
            variable = pick(_unwrap(self._trainable_variables[place]))
            cast = {"ema_momentum": tf.cast(scalars["ema_momentum"], variable.dtype)}
            average.assign(_moved_average(average.read_value(), variable.read_value(), cast))
            if "ema_overwrites" in scalars:
                variable.assign(tf.where(scalars["ema_overwrites"], average, variable))


class _State:
    """What belongs to one build. A plain object, so that Keras neither tracks nor saves it."""

    def __init__(self, fused: FusedUpdate):
        self.fused = fused
        self.slots: list[list[Any]] = []
        self.settings: list[GroupSettings] = []
        self.norm: Any = None
        # With accumulation: updates done, and batches and denominators since the last.
        self.updates: Any = None
        self.batches: Any = None
        self.denominator: Any = None
        # Of the variables that have gradients.
        self.places: list[int] = []


def _list_copies(strategy: Any, variable: Any) -> list[tuple[_Pick, str | None]]:
    """For each device with a copy of the variables: what picks its own copy of anything, and its name."""
    if strategy is None:
        return [(lambda value: value, None)]

    def picker(place: int) -> _Pick:
        def pick(value):
            results = strategy.experimental_local_results(value)
            return results[place] if len(results) > 1 else results[0]

        return pick

    copies = strategy.experimental_local_results(_unwrap(variable))
    return [(picker(place), copy.device) for place, copy in enumerate(copies)]


def _moved_average(average: tf.Tensor, value: tf.Tensor, scalars: Scalars) -> tf.Tensor:
    momentum = scalars["ema_momentum"]
    return momentum * average + (1 - momentum) * value


def _unwrap(variable: Any) -> Any:
    """The `tf.Variable` inside a Keras variable."""
    return variable.value if isinstance(variable, keras.Variable) else variable


def _as_gradient(gradient: Any) -> Gradient:
    return gradient if isinstance(gradient, tf.IndexedSlices) else tf.convert_to_tensor(gradient)

"""One pass over memory a step: the whole update of a variable as one compiled function.

An optimizer's step is bound by memory: its arithmetic waits for weights, moments and gradients. Operation by
operation, each square, product and sum is a pass of its own over all of them; compiled with XLA into one
function, each number is read once and written once. So:

- Each large variable is updated in place by a compiled function of (variable, gradient, slots). Variables of
  the same shape share it, so a net of repeated layers compiles few.
- The many small ones (biases, norms) are concatenated and updated as one vector, for the same reason.
- An embedding's gradient names few rows. The compiled pass treats it as zero for all rows, and the rows named
  are computed apart from what they were before: the same result as a dense gradient's without writing one.

XLA is used for these functions only; the model that is trained is not compiled by it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# Below this many elements a variable is packed with others. What matters is that a launch's fixed cost
# (some 20 µs) is small beside the pass, and that nets with many odd small shapes compile one function for all.
PACK_BELOW = 16_384

Scalars = dict[str, tf.Tensor]
# (value, gradient or None for zeros, slots, average or None, scalars) → (value, slots, average)
Advance = Callable[..., tuple[tf.Tensor, list[tf.Tensor], tf.Tensor | None]]


@dataclasses.dataclass
class Slot:
    """One variable with everything its update reads and writes, on one device.

    The gradient is a tensor, an `IndexedSlices` without repeated rows, or a variable in which gradients were
    summed up; that one is zero after the update. `matrices`: how many matrices stand side by side in the variable,
    where it is updated as a whole; 0 where it is updated element by element.
    """

    variable: tf.Variable
    gradient: Any
    slots: list[tf.Variable]
    average: tf.Variable | None
    scalars: Scalars
    moves_without_gradient: bool
    matrices: int = 0

    @property
    def targets(self) -> list[tf.Variable]:
        return [self.variable, *self.slots, *([] if self.average is None else [self.average])]

    def store(self, value: tf.Tensor, slots: Sequence[tf.Tensor], average: tf.Tensor | None) -> None:
        new = [value, *slots, *([] if average is None else [average])]
        for target, tensor in zip(self.targets, new, strict=True):
            target.assign(tensor)


class FusedUpdate:
    """Runs an optimizer's equation over many variables, in as few passes over memory as it can.

    Args:
        advance: the equation: (value, gradient or None, slots, average or None, scalars) → the new value,
            slots and average; pure, elementwise.
        jit_compile: whether the functions are compiled by XLA; else the same operations run one by one.
    """

    def __init__(self, advance: Advance, jit_compile: bool):
        self._advance = advance
        self._jit_compile = jit_compile
        self._compiled: dict[Any, Callable] = {}

    def run(self, slots: Sequence[Slot]) -> None:
        """Updates every variable. All must lie on one device."""
        packs: dict[Any, list[Slot]] = {}
        for slot in slots:
            if int(slot.variable.shape.num_elements()) < PACK_BELOW:
                packs.setdefault(slot.variable.dtype, []).append(slot)
            elif isinstance(slot.gradient, tf.IndexedSlices):
                self._update_rows(slot)
            else:
                self._update(slot, slot.gradient)
        for pack in packs.values():
            self._update_pack(pack)

    def accumulate(self, total: tf.Variable, gradient: Any, weight: tf.Tensor | None) -> None:
        """total ← total + weight · gradient, in one pass; without a weight it is 1. Rows must not repeat."""
        if isinstance(gradient, tf.IndexedSlices):
            values = tf.cast(gradient.values, total.dtype)
            if weight is not None:
                values = values * tf.cast(weight, total.dtype)
            total.scatter_add(tf.IndexedSlices(values, gradient.indices))
        elif weight is None:
            total.assign_add(tf.cast(gradient, total.dtype))
        elif int(total.shape.num_elements()) < PACK_BELOW:
            _add_weighted(total, gradient, weight)
        else:
            key = ("add", tuple(total.shape), total.dtype, gradient.dtype)
            self._function(key, _add_weighted)(total, gradient, weight)

    def _update(self, slot: Slot, gradient: tf.Tensor | None) -> None:
        def update(variable, gradient, slots, average, scalars):
            value, new_slots, new_average = self._advance(
                variable.read_value(), _read(gradient), slots, average, scalars
            )
            Slot(variable, None, slots, average, scalars, True).store(value, new_slots, new_average)

        variable = slot.variable
        kind = "accumulator" if isinstance(gradient, tf.Variable) else gradient is None
        key = (tuple(variable.shape), variable.dtype, kind, tuple(slot.scalars))
        function = self._function(key, update)
        function(variable, gradient, slot.slots, slot.average, slot.scalars)
        if isinstance(gradient, tf.Variable):
            self._function(("clear", tuple(gradient.shape), gradient.dtype), _clear)(gradient)

    def _update_rows(self, slot: Slot) -> None:
        gradient = slot.gradient
        old = [tf.gather(target, gradient.indices) for target in slot.targets]
        average = None if slot.average is None else old[-1]
        slots = old[1 : 1 + len(slot.slots)]
        value, slots, average = self._advance(old[0], gradient.values, slots, average, slot.scalars)
        rows = [value, *slots, *([] if average is None else [average])]
        if slot.moves_without_gradient:
            # In a graph, reads and writes of one variable keep their order; the rows must be read by now.
            with tf.control_dependencies(rows):
                self._update(slot, None)
        for target, tensor in zip(slot.targets, rows, strict=True):
            target.scatter_update(tf.IndexedSlices(tensor, gradient.indices))

    def _update_pack(self, pack: list[Slot]) -> None:
        if len(pack) == 1:
            gradient = pack[0].gradient
            dense = tf.convert_to_tensor(gradient) if isinstance(gradient, tf.IndexedSlices) else gradient
            self._update(pack[0], dense)
            return

        def flat(tensors):
            return tf.concat([tf.reshape(tf.convert_to_tensor(tensor), [-1]) for tensor in tensors], 0)

        sizes = [int(slot.variable.shape.num_elements()) for slot in pack]
        slots = [flat(each) for each in zip(*(slot.slots for slot in pack), strict=True)]
        average = None if pack[0].average is None else flat([slot.average for slot in pack])
        scalars = {name: _spread([slot.scalars[name] for slot in pack], sizes) for name in pack[0].scalars}
        key = ("pack", tuple(sizes), pack[0].variable.dtype, tuple(scalars))
        result = self._function(key, self._advance)(
            flat([slot.variable for slot in pack]),
            flat([slot.gradient for slot in pack]),
            slots,
            average,
            scalars,
        )
        value, slots, average = ([] if part is None else part for part in result)
        columns = [value, *slots, *([] if pack[0].average is None else [average])]
        for place, column in enumerate(columns):
            for slot, part in zip(pack, tf.split(column, sizes), strict=True):
                target = slot.targets[place]
                target.assign(tf.reshape(part, target.shape))
        for slot in pack:
            if isinstance(slot.gradient, tf.Variable):
                slot.gradient.assign(tf.zeros_like(slot.gradient))

    def _function(self, key: Any, python_function: Callable) -> Callable:
        if not self._jit_compile:
            return python_function
        # One function a shape: a single one would warn that it is traced again and again.
        if key not in self._compiled:
            self._compiled[key] = tf.function(python_function, jit_compile=True, autograph=False)
        return self._compiled[key]


def cast_scalars(scalars: Scalars, dtype: tf.DType) -> Scalars:
    """The numbers in a variable's dtype; counts and truth values as they are."""
    return {name: tf.cast(s, dtype) if s.dtype.is_floating else s for name, s in scalars.items()}


def _read(gradient: Any) -> Any:
    return gradient.read_value() if isinstance(gradient, tf.Variable) else gradient


def _add_weighted(total: tf.Variable, gradient: tf.Tensor, weight: tf.Tensor) -> None:
    total.assign_add(tf.cast(gradient, total.dtype) * tf.cast(weight, total.dtype))


def _clear(gradient: tf.Variable) -> None:
    # Zeros, but not as a constant: that would be written to fresh memory, which takes far longer.
    value = gradient.read_value()
    gradient.assign(tf.where(tf.math.is_finite(value), value * 0, tf.zeros([], value.dtype)))


def _spread(scalars: list[tf.Tensor], sizes: list[int]) -> tf.Tensor:
    """One scalar where all are the same tensor, else one value an element."""
    if all(scalar is scalars[0] for scalar in scalars):
        return scalars[0]
    return tf.repeat(tf.stack(scalars), sizes)

"""What a loss was divided by, told to the optimizer within the same step.

A loss is a sum over examples or tokens divided by their number. Where one update is made of several batches, or of
several replicas' parts of one, the optimizer has to know these numbers, for the mean of means is not the mean:

    update of k batches = Σ sums / Σ denominators

Keras hands the optimizer gradients alone. So a loss of kerasft's leaves its denominator here when it is called, and
`GroupedOptimizer.apply` takes it from here: by the graph that both are traced in, or eagerly one after the other.
Nothing is stored in variables, and a denominator that no one takes costs nothing.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

# Replica → loss → denominator: in eager steps here, in traced ones at the graph, which it must not outlive.
_eager: dict[int, dict[int, tf.Tensor]] = {}
_ATTRIBUTE = "_kerasft_denominators"


def set_denominator(loss: Any, denominator: tf.Tensor) -> None:
    """Leaves a loss' denominator for the optimizer that steps next.

    Args:
        loss: which loss; what it told before in this step is forgotten.
        denominator: float32 scalar, ≥ 0: of this batch, or of this replica's part of it.
    """
    if tf.executing_eagerly():
        # one after the other: what was measured meanwhile is no part of the step
        _eager[_replica()] = {id(loss): denominator}
    else:
        graph = tf.compat.v1.get_default_graph()
        if not hasattr(graph, _ATTRIBUTE):
            setattr(graph, _ATTRIBUTE, {})
        getattr(graph, _ATTRIBUTE).setdefault(_replica(), {})[id(loss)] = denominator


def take_denominator() -> tf.Tensor | None:
    """The denominator of the loss of this step, or None where the loss told none.

    Raises:
        ValueError: several losses told one each, so that no single number is right.
    """
    denominators: dict[int, tf.Tensor] = {}
    if tf.executing_eagerly():
        denominators = _eager.pop(_replica(), {})
    else:
        # a step in a branch (of a loss scale that looks for infinities) lies in a graph within that of the loss
        graph = tf.compat.v1.get_default_graph()
        while graph is not None and not denominators:
            denominators = getattr(graph, _ATTRIBUTE, {}).pop(_replica(), {})
            graph = getattr(graph, "outer_graph", None)
    if len(denominators) > 1:
        raise ValueError(
            f"{len(denominators)} losses have their own denominators: with accumulated gradients, or on several "
            "replicas, no single number weighs their sum. Sum them within one loss, or leave accumulation out"
        )
    return next(iter(denominators.values()), None)


def _replica() -> int:
    context = tf.distribute.get_replica_context()
    number = 0 if context is None else context.replica_id_in_sync_group
    return int(number) if isinstance(number, int) else int(tf.get_static_value(number) or 0)


class CountedLoss(keras.losses.Loss):
    """A Keras loss of one value an example that tells the optimizer how many examples it averaged.

    To be inherited from before a loss of Keras, or alone. With `reduction="mean_with_sample_weight"` the denominator
    is the sum of the weights, as Keras divides; with "sum" or none nothing is told.
    """

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        loss = super().__call__(y_true, y_pred, sample_weight)
        if self.reduction in ("sum_over_batch_size", "mean", "mean_with_sample_weight"):
            if self.reduction == "mean_with_sample_weight" and sample_weight is not None:
                denominator = tf.reduce_sum(tf.cast(sample_weight, tf.float32))
            else:
                denominator = tf.cast(tf.shape(y_pred)[0], tf.float32)
            set_denominator(self, denominator)
        return loss

"""Graph operations that the tokenizers share, on vectors that contain all texts of a batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compile_method(method: Callable[..., Any]) -> Any:
    """A bound method as a `tf.function`; a decorated method would hold its object only weakly."""
    return tf.function(functools.partial(method), autograph=False, reduce_retracing=True)


def compile_once(function: Callable[..., Any], *signature: Any) -> Any:
    """A function as a `tf.function` of one signature, which is traced once.

    TensorFlow knows functions by their code: it takes the methods of several objects for one that is traced again and
    again, and warns of it. A partial function stands for itself.
    """
    return tf.function(functools.partial(function), input_signature=signature, autograph=False)


def find_places(mask: tf.Tensor) -> tf.Tensor:
    """int64 places at which a vector is true."""
    return tf.reshape(tf.where(mask), [-1])


def put(values: tf.Tensor, places: tf.Tensor, updates) -> tf.Tensor:
    """The vector `values` with `updates`, one or as many as places, at `places`."""
    updates = tf.broadcast_to(updates, tf.shape(places))
    return tf.tensor_scatter_nd_update(values, places[:, None], updates)


def split_places(places: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
    """From where texts begin among symbols to where they begin among the symbols at `places`."""
    return tf.searchsorted(tf.cast(places, splits.dtype), splits)


def find_rows(places: tf.Tensor, splits: tf.Tensor) -> tf.Tensor:
    """int32: in which row each place lies, where rows begin at `splits`; rows of nothing are passed over."""
    return tf.searchsorted(splits, places, side="right") - 1


def shift(values: tf.Tensor, places: int, filler) -> tf.Tensor:
    """What stands `places` earlier in a vector (later, if below 0); `filler` beyond its ends."""
    count = abs(places)
    edge = tf.fill([count], tf.cast(filler, values.dtype))
    if places > 0:
        return tf.concat([edge, values], 0)[:-count]
    return tf.concat([values, edge], 0)[count:]


def find_last(mask: tf.Tensor) -> tf.Tensor:
    """int32: for each place the last one up to it, itself included, where `mask` is true; -1 where there is none."""
    places = tf.concat([[-1], tf.cast(find_places(mask), tf.int32)], 0)
    return tf.gather(places, tf.cumsum(tf.cast(mask, tf.int32)))


def find_next(mask: tf.Tensor) -> tf.Tensor:
    """int32: for each place the next one from it on, itself included, where `mask` is true; the size where none is."""
    places = tf.concat([tf.cast(find_places(mask), tf.int32), [tf.size(mask)]], 0)
    return tf.gather(places, tf.cumsum(tf.cast(mask, tf.int32), exclusive=True))


def gather_or(values: tf.Tensor, places: tf.Tensor, filler) -> tf.Tensor:
    """The values at places; `filler` where a place is -1."""
    return tf.gather(tf.concat([[tf.cast(filler, values.dtype)], values], 0), places + 1)


def collect(advance: Callable[..., tuple], state: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, tf.Tensor]:
    """Calls `advance` until the first of its vectors is empty, and joins what it found in each round.

    Args:
        advance: from the state's vectors to (found, the next state's vectors …); found is int32 (any, 2).
        state: vectors (any,); also matrices with as many rows.

    Returns:
        The columns of all that was found, in the order of the rounds.
    """

    def advance_round(found, *vectors):
        rows, *following = advance(*vectors)
        return tf.raw_ops.TensorListPushBack(input_handle=found, tensor=rows), *following

    # Not a tf.TensorArray: one that grows, saved by TensorFlow 2.21, fails in TensorFlow 2.12.
    found = tf.raw_ops.EmptyTensorList(element_shape=[-1, 2], max_num_elements=-1, element_dtype=tf.int32)
    found = tf.while_loop(
        lambda found, first, *_: tf.size(first) > 0,
        advance_round,
        (found, *state),
        shape_invariants=(
            tf.TensorShape([]),
            *(tf.TensorShape([None]).concatenate(v.shape[1:]) for v in state),
        ),
    )[0]
    flat = tf.raw_ops.TensorListConcatV2(
        input_handle=found,
        element_shape=[-1, 2],
        leading_dims=tf.constant([], tf.int64),
        element_dtype=tf.int32,
    )
    first, second = tf.unstack(flat.tensor, 2, axis=1)
    return first, second

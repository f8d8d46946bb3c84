"""From a model's scores of tags to a tag for each unit: the best one alone, or the best sequence that is legal.

A unit (a word or a character) has a score for each tag: log-probabilities or logits, which give the same sequence.
There is nothing to train: a transition is legal or not. Each decoder is there twice, in NumPy and, for an export, in
core TensorFlow ops; both give the same tags. Of equals the first counts: of tags, and of ways to a tag.

Scores are taken relative to the unit's best, and one that is no number, or more than 10,000 below, counts as 10,000
below: whatever a model says, what comes out is legal.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kerasft.text.tags import TagRules

_LOWEST = np.float32(-1e4)
# Elements of the largest array, (rows, tags, tags), that is worked on at once: a few megabytes.
_ELEMENTS_PER_BLOCK = 1 << 20


def check_rules(rules: TagRules) -> TagRules:
    """Rules that leave a legal sequence of each length, or an error.

    Raises:
        ValueError: no tag may begin, follow itself and end (as O may).
    """
    if not (rules.starts & rules.ends & np.diagonal(rules.follows)).any():
        raise ValueError(
            "No tag may begin a text, follow itself and end it: some lengths have no legal tags."
        )
    return rules


def decode_greedily(scores: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The best tag of each unit by itself.

    Args:
        scores: float (batch, units, tags).
        lengths: int (batch,), units of each text; those after are padding.

    Returns:
        int32 (batch, units); 0 for padding.
    """
    inside = np.arange(scores.shape[1]) < np.asarray(lengths)[:, None]
    return np.where(inside, _make_relative(scores).argmax(axis=2), 0).astype(np.int32)


def decode_viterbi(scores: np.ndarray, lengths: np.ndarray, rules: TagRules) -> np.ndarray:
    """The legal sequence with the largest sum of scores.

        best[0, j] = score[0, j],  best[t, j] = score[t, j] + max_i best[t − 1, i]   over legal i → j

    Args:
        scores: float (batch, units, tags).
        lengths: int (batch,), units of each text; those after are padding.
        rules: which tags may begin, follow each other and end.

    Returns:
        int32 (batch, units); 0 for padding.

    Raises:
        ValueError: see `check_rules`.

    Source: Viterbi 1967, IEEE Trans. Inf. Theory 13:260–269.
    """
    check_rules(rules)
    lengths = np.asarray(lengths)
    batch, units, num_tags = scores.shape
    paths = np.zeros((batch, units), np.int32)
    rows = max(1, _ELEMENTS_PER_BLOCK // num_tags**2)
    for start in range(0, batch, rows):
        block = slice(start, start + rows)
        longest = int(lengths[block].max(initial=0))
        if longest:
            paths[block, :longest] = _decode_block(scores[block, :longest], lengths[block], rules)
    return paths


def _decode_block(scores: np.ndarray, lengths: np.ndarray, rules: TagRules) -> np.ndarray:
    relative, units = _make_relative(scores), scores.shape[1]
    follows = _penalise(rules.follows)
    best = relative[:, 0] + _penalise(rules.starts)
    origins = np.zeros(scores.shape, np.int32)
    for unit in range(1, units):
        ways = best[:, :, None] + follows
        inside = (unit < lengths)[:, None]
        # Past a text's end its tags stay as they are.
        origins[:, unit] = np.where(inside, ways.argmax(axis=1), np.arange(scores.shape[2]))
        best = np.where(inside, ways.max(axis=1) + relative[:, unit], best)
    tags = (best + _penalise(rules.ends)).argmax(axis=1)
    paths = np.zeros((len(scores), units), np.int32)
    for unit in reversed(range(units)):
        paths[:, unit] = np.where(unit < lengths, tags, 0)
        tags = np.take_along_axis(origins[:, unit], tags[:, None], axis=1)[:, 0]
    return paths


def _make_relative(scores: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        scores = np.asarray(scores, np.float32)
        highest = np.where(np.isnan(scores), -np.inf, scores).max(axis=2, keepdims=True)
        relative = scores - highest
    return np.where(relative >= _LOWEST, relative, _LOWEST)  # NaN is not


def _penalise(legal: np.ndarray) -> np.ndarray:
    return np.where(legal, 0.0, -np.inf).astype(np.float32)


def decode_greedily_in_graph(scores: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """`decode_greedily` in TensorFlow.

    Args:
        scores: float32 (batch, units, tags).
        lengths: int32 (batch,).

    Returns:
        int32 (batch, units); 0 for padding.
    """
    inside = tf.range(tf.shape(scores)[1])[None, :] < tf.cast(lengths, tf.int32)[:, None]
    return tf.where(inside, _find_first_best(_make_relative_in_graph(scores), axis=2)[0], 0)


def decode_viterbi_in_graph(scores: tf.Tensor, lengths: tf.Tensor, rules: TagRules) -> tf.Tensor:
    """`decode_viterbi` in TensorFlow, with the rules as constants: a SavedModel of it loads with TensorFlow alone.

    Args:
        scores: float32 (batch, units, tags); the number of tags is static.
        lengths: int32 (batch,).
        rules: which tags may begin, follow each other and end.

    Returns:
        int32 (batch, units); 0 for padding.

    Raises:
        ValueError: see `check_rules`.
    """
    check_rules(rules)
    num_tags = len(rules.starts)
    lengths = tf.cast(lengths, tf.int32)
    relative = _make_relative_in_graph(tf.ensure_shape(scores, [None, None, num_tags]))
    # One unit of padding more, so that there is a first one, also where no text of a batch has any.
    by_unit = tf.transpose(tf.pad(relative, [[0, 0], [0, 1], [0, 0]]), [1, 0, 2])
    best, origins = _go_forward(by_unit, lengths, rules)
    tags = _find_first_best(best + _penalise(rules.ends), axis=1)[0]
    return _go_back(origins, tags, lengths, tf.shape(by_unit)[0])[:, :-1]


def _go_forward(by_unit: tf.Tensor, lengths: tf.Tensor, rules: TagRules) -> tuple[tf.Tensor, tf.TensorArray]:
    """The best score that ends in each tag, and of each unit but the first which tag before led to each."""
    follows = tf.constant(_penalise(rules.follows))
    num_tags, units = len(rules.starts), tf.shape(by_unit)[0]

    def advance(unit, best, origins):
        origin, highest = _find_first_best(best[:, :, None] + follows, axis=1)
        inside = (unit < lengths)[:, None]
        # Past a text's end its tags stay as they are.
        origins = origins.write(unit, tf.where(inside, origin, tf.range(num_tags)[None, :]))
        return unit + 1, tf.where(inside, highest + by_unit[unit], best), origins

    # Of fixed size: one that grows, saved by TensorFlow 2.21, fails in TensorFlow 2.12.
    origins = tf.TensorArray(tf.int32, units, element_shape=[None, num_tags], clear_after_read=False)
    start = (tf.constant(1), by_unit[0] + _penalise(rules.starts), origins)
    return tf.while_loop(lambda unit, *_: unit < units, advance, start)[1:]


def _go_back(origins: tf.TensorArray, tags: tf.Tensor, lengths: tf.Tensor, units: tf.Tensor) -> tf.Tensor:
    """The tags on the way to the last ones, int32 (batch, units)."""

    def step_back(unit, tags, paths):
        paths = paths.write(unit, tf.where(unit < lengths, tags, 0))
        return unit - 1, tf.gather(origins.read(unit), tags, axis=1, batch_dims=1), paths

    paths = tf.TensorArray(tf.int32, units, element_shape=[None])
    _, tags, paths = tf.while_loop(lambda unit, *_: unit > 0, step_back, (units - 1, tags, paths))
    paths = paths.write(0, tf.where(lengths > 0, tags, 0))
    return tf.transpose(paths.stack())


def _make_relative_in_graph(scores: tf.Tensor) -> tf.Tensor:
    scores = tf.cast(scores, tf.float32)
    highest = tf.reduce_max(tf.where(tf.math.is_nan(scores), -np.inf, scores), axis=2, keepdims=True)
    relative = scores - highest
    return tf.where(relative >= _LOWEST, relative, _LOWEST)  # NaN is not


def _find_first_best(values: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Place and value of the largest along an axis of static size; tf.argmax leaves open which of equals it gives."""
    size = values.shape[axis]
    places = tf.reshape(tf.range(size), [-1 if a == axis else 1 for a in range(values.shape.rank)])
    highest = tf.reduce_max(values, axis, keepdims=True)
    place = tf.reduce_min(tf.where(values == highest, places, size), axis)
    return place, tf.squeeze(highest, axis)

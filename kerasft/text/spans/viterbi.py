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

from kerasft.text.spans.tagging_schemes import TagRules

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
            "No tag can start a text, follow itself and end the text, so some lengths have no valid tags."
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


def decode_greedily_in_graph(scores: tf.Tensor) -> tf.Tensor:
    """`decode_greedily` in TensorFlow, over the units of all texts one after another.

    Args:
        scores: float32 (units, tags).

    Returns:
        int32 (units,).
    """
    return _find_first_best(_make_relative_in_graph(scores), axis=1)[0]


def decode_viterbi_in_graph(scores: tf.Tensor, splits: tf.Tensor, rules: TagRules) -> tf.Tensor:
    """`decode_viterbi` in TensorFlow, with the rules as constants: a SavedModel of it loads with TensorFlow alone.

    The units of all texts stand one after another and are cut into about √units blocks of √units units, which are
    worked on side by side: time grows with the units, in few and large steps, and one long text costs as much as many
    short ones. A first pass finds what each block makes of each way into it, a walk over the blocks finds the best
    scores at their beginnings, and a second pass the ways within them. Sums are made in another order than in NumPy:
    where two sequences differ by rounding alone, either may come out.

    Args:
        scores: float32 (units, tags); the number of tags is static.
        splits: int32 (texts + 1,), where each text's units begin, and their number.
        rules: which tags may begin, follow each other and end.

    Returns:
        int32 (units,).

    Raises:
        ValueError: see `check_rules`.
    """
    check_rules(rules)
    steps = _Steps(rules)
    scores = tf.ensure_shape(scores, [None, len(rules.starts)])
    units = tf.shape(scores)[0]
    side = tf.cast(tf.math.ceil(tf.sqrt(tf.cast(units + 1, tf.float32))), tf.int32)
    blocks = (units + side) // side
    # There is always a unit of padding behind the last, as if a text began there: then every text ends at a beginning.
    relative = tf.pad(_make_relative_in_graph(scores), [[0, blocks * side - units], [0, 0]])
    begins = tf.scatter_nd(splits[:, None], tf.ones_like(splits), [blocks * side]) > 0
    by_step = tf.transpose(tf.reshape(relative, [blocks, side, steps.num_tags]), [1, 0, 2])
    begins = tf.transpose(tf.reshape(begins, [blocks, side]))
    entries = _find_entries(_cross_blocks(by_step, begins, steps), steps)
    tags = _trace_back(*_go_forward(by_step, begins, entries, steps), steps)
    return tf.reshape(tags, [-1])[:units]


class _Steps:
    """The rules as constants of a graph.

    Of tags that may be followed by the same ones only the best matters to what follows: they are one way. There are
    far fewer ways than tags, and most tags may follow any.
    """

    def __init__(self, rules: TagRules):
        self.num_tags = len(rules.starts)
        self.follows, self.starts, self.ends = map(_penalise, (rules.follows, rules.starts, rules.ends))
        kinds, kind_of_tag = np.unique(rules.follows, axis=0, return_inverse=True)
        self.num_ways = len(kinds)
        self.after_way = _penalise(kinds)
        self._tags_of_way = [np.flatnonzero(kind_of_tag.ravel() == way) for way in range(len(kinds))]
        before, self._column = np.unique(rules.follows, axis=1, return_inverse=True)
        self._tags_before = [np.flatnonzero(column) for column in before.T]

    def advance(self, best: tf.Tensor) -> tf.Tensor:
        """From the best score that ends in each tag (…, tags) to the best before each tag, of the same shape."""
        return tf.gather(_reduce_groups(best, self._tags_before), np.ravel(self._column), axis=-1)

    def merge(self, best: tf.Tensor) -> tf.Tensor:
        """From (…, tags) to the best of each way, (…, ways)."""
        return _reduce_groups(best, self._tags_of_way)


def _reduce_groups(best: tf.Tensor, groups: list[np.ndarray]) -> tf.Tensor:
    parts = [
        tf.reduce_max(best if len(group) == best.shape[-1] else tf.gather(best, group, axis=-1), -1)
        if len(group)
        else tf.fill(tf.shape(best)[:-1], -np.inf)
        for group in groups
    ]
    return tf.stack(parts, -1)


def _cross_blocks(by_step: tf.Tensor, begins: tf.Tensor, steps: _Steps) -> tf.Tensor:
    """The best scores at the end of each block for each way into it, float32 (blocks, ways, tags)."""

    def advance(step, best):
        best = tf.where(begins[step][:, None, None], steps.starts, steps.advance(best))
        return step + 1, best + by_step[step][:, None]

    best = tf.where(begins[0][:, None, None], steps.starts, steps.after_way) + by_step[0][:, None]
    side = tf.shape(by_step)[0]
    return tf.while_loop(lambda step, _: step < side, advance, (tf.constant(1), best))[1]


def _find_entries(crossings: tf.Tensor, steps: _Steps) -> tf.Tensor:
    """The best scores before each block, float32 (blocks, tags); nothing stands before the first."""
    blocks = tf.shape(crossings)[0]

    def advance(block, best, entries):
        best = tf.reduce_max(steps.merge(best)[:, None] + crossings[block], 0)
        # Scores are compared only with each other: without the sum so far, rounding does not grow with the text.
        best -= tf.reduce_max(best)
        return block + 1, best, entries.write(block + 1, best)

    entries = tf.TensorArray(tf.float32, blocks + 1, element_shape=[steps.num_tags])
    first = tf.zeros([steps.num_tags])
    loop = (tf.constant(0), first, entries.write(0, first))
    return tf.while_loop(lambda block, *_: block < blocks, advance, loop)[2].stack()[:-1]


def _go_forward(
    by_step: tf.Tensor, begins: tf.Tensor, entries: tf.Tensor, steps: _Steps
) -> tuple[tf.Tensor, tf.Tensor]:
    """Which tag before leads best to each, int32 (steps, blocks, tags), and the best scores of the last block."""
    side = tf.shape(by_step)[0]

    def advance(step, best, origins):
        here = begins[step][:, None]
        # Before a beginning a text ends, with the same tag whichever comes next.
        last = _find_first_best(best + steps.ends, axis=1)[0][:, None]
        origin, highest = _find_first_best(best[:, :, None] + steps.follows, axis=1)
        best = tf.where(here, steps.starts, highest) + by_step[step]
        return step + 1, best, origins.write(step, tf.where(here, last, origin))

    # Of fixed size: one that grows, saved by TensorFlow 2.21, fails in TensorFlow 2.12.
    origins = tf.TensorArray(tf.int32, side, element_shape=[None, steps.num_tags])
    loop = (tf.constant(0), entries, origins)
    _, best, origins = tf.while_loop(lambda step, *_: step < side, advance, loop)
    return origins.stack(), best


def _trace_back(origins: tf.Tensor, best: tf.Tensor, steps: _Steps) -> tf.Tensor:
    """The tags on the way to the best at the end, int32 (blocks, steps)."""
    side, blocks = tf.unstack(tf.shape(origins)[:2])

    def step_back(step, tags, paths):
        """For all tags at a block's end at once."""
        paths = paths.write(step, tags)
        return step - 1, tf.gather(origins[step], tags, axis=1, batch_dims=1), paths

    paths = tf.TensorArray(tf.int32, side, element_shape=[None, steps.num_tags])
    every = tf.tile(tf.range(steps.num_tags)[None, :], [blocks, 1])
    loop = (side - 1, every, paths)
    _, before, paths = tf.while_loop(lambda step, *_: step >= 0, step_back, loop)

    def choose(block, tag, lasts):
        return block - 1, before[block, tag], lasts.write(block, tag)

    lasts = tf.TensorArray(tf.int32, blocks, element_shape=[])
    last = _find_first_best(best[-1:] + steps.ends, axis=1)[0][0]
    loop = (blocks - 1, last, lasts)
    lasts = tf.while_loop(lambda block, *_: block >= 0, choose, loop)[2].stack()
    # As a column: TensorFlow before 2.2 refuses as many batch dimensions as indices have.
    return tf.gather(tf.transpose(paths.stack(), [1, 0, 2]), lasts[:, None], axis=2, batch_dims=1)[:, :, 0]


def _make_relative_in_graph(scores: tf.Tensor) -> tf.Tensor:
    scores = tf.cast(scores, tf.float32)
    highest = tf.reduce_max(tf.where(tf.math.is_nan(scores), -np.inf, scores), axis=1, keepdims=True)
    relative = scores - highest
    return tf.where(relative >= _LOWEST, relative, _LOWEST)  # NaN is not


def _find_first_best(values: tf.Tensor, axis: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Place and value of the largest along an axis of static size; tf.argmax leaves open which of equals it gives."""
    size = values.shape[axis]
    places = tf.reshape(tf.range(size), [-1 if a == axis else 1 for a in range(values.shape.rank)])
    highest = tf.reduce_max(values, axis, keepdims=True)
    place = tf.reduce_min(tf.where(values == highest, places, size), axis)
    return place, tf.squeeze(highest, axis)

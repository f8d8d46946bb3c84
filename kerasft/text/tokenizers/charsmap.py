"""SentencePiece's normalisation rules, applied in core TensorFlow ops.

A `precompiled_charsmap` is the size of a trie, the trie (darts-clone's double array of bytes, 32 bits a unit) and the
replacements, each with a zero byte at its end. The graph walks the trie as it is, from all characters of a batch at
once, so that reading a model takes no time and an export grows by the charsmap's size alone.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kerasft.errors import PresetError
from kerasft.text.ops import collect, find_places, put, shift

START, END = 0x100, 0x101
"""In the place of bytes: what stands before a text and after it."""
_LENGTH_BITS = 8
_LABEL = tf.int32.min | 0xFF
_LEAF = 1 << 8


class Charsmap(tf.Module):
    """Replaces characters by the rules of a charsmap, at each place by the longest that applies.

    Args:
        blob: a `precompiled_charsmap`, not empty.

    Raises:
        PresetError: it is broken.
    """

    def __init__(self, blob: bytes, name: str = "charsmap"):
        super().__init__(name=name)
        size = int.from_bytes(blob[:4], "little")
        texts = np.frombuffer(blob[4 + size :], np.uint8)
        if not size or size % 4 or not len(texts) or texts[-1] != 0:
            raise PresetError("The table of normalisation rules is broken.")
        if len(texts) >= 1 << (31 - _LENGTH_BITS):
            raise PresetError("The table of normalisation rules is larger than any.")
        units = np.frombuffer(blob[4 : 4 + size], "<i4")
        zeros = np.flatnonzero(texts == 0)
        places = np.arange(len(texts))
        with tf.device("CPU:0"):
            # Beyond the end no unit has a label, so that a broken trie leads nowhere.
            self._units = tf.constant(np.append(units, np.zeros(512, np.int32)), tf.int32)
            self._texts = tf.constant(texts, tf.int32)
            self._lengths = tf.constant(zeros[np.searchsorted(zeros, places)] - places, tf.int32)

    def apply(self, symbols: tf.Tensor) -> tf.Tensor:
        """Bytes of UTF-8, with `START` and `END` around each text → the same, normalised; all int32 (any,)."""
        leads = find_leads(symbols)
        ends = tf.concat([leads[1:], [tf.size(symbols)]], 0)
        found = put(tf.zeros_like(symbols), *self._walk(symbols, leads))
        found = tf.gather(found, leads)
        lengths = tf.bitwise.bitwise_and(found, (1 << _LENGTH_BITS) - 1)
        is_left = self._skip_replaced(leads, ends, lengths)
        text = tf.bitwise.right_shift(found, _LENGTH_BITS)
        ruled = lengths > 0
        starts = tf.where(ruled, text, tf.size(self._texts) + leads)
        counts = tf.where(ruled, tf.gather(self._lengths, text), ends - leads)
        kept = find_places(is_left)
        starts = tf.gather(starts, kept)
        pieces = tf.ragged.range(starts, starts + tf.gather(counts, kept), row_splits_dtype=tf.int32)
        return tf.gather(tf.concat([self._texts, symbols], 0), pieces.values)

    def _walk(self, symbols: tf.Tensor, leads: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """For each lead its replacement's place and how many bytes that replaces, packed into one number; 0: none."""
        symbols = tf.concat([symbols, [END]], 0)

        def advance(begin, place, node, best):
            symbol = tf.gather(symbols, place)
            node = tf.minimum(tf.bitwise.bitwise_xor(node, symbol), tf.size(self._units) - 1)
            unit = tf.gather(self._units, node)
            exists = tf.bitwise.bitwise_and(unit, _LABEL) == symbol
            node = tf.bitwise.bitwise_xor(node, _find_offset(unit))
            leaf = exists & (tf.bitwise.bitwise_and(unit, _LEAF) != 0)
            value = tf.gather(self._units, tf.clip_by_value(node, 0, tf.size(self._units) - 1))
            value = tf.minimum(tf.bitwise.bitwise_and(value, tf.int32.max), tf.size(self._texts) - 1)
            packed = tf.bitwise.left_shift(value, _LENGTH_BITS) + place - begin + 1
            best = tf.where(leaf, packed, best)
            # No rule replaces more bytes than a length has room for.
            exists &= place - begin < (1 << _LENGTH_BITS) - 2
            walking, stopped = find_places(exists), find_places(~exists)
            rows = tf.stack([tf.gather(begin, stopped), tf.gather(best, stopped)], 1)
            return (rows, *(tf.gather(each, walking) for each in (begin, place + 1, node, best)))

        root = tf.fill(tf.shape(leads), _find_offset(self._units[0]))
        return collect(advance, (leads, leads, root, tf.zeros_like(leads)))

    def _skip_replaced(self, leads: tf.Tensor, ends: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """bool, which characters are still there, and not replaced together with one before them."""
        several = find_places(leads + lengths > ends)
        until = tf.gather(leads + lengths, several)
        # A rule that begins inside of what another one replaces is not applied; the chain of those that are leads from
        # each to the first behind its end. It is followed by doubling its steps.
        count = tf.size(several)
        following = tf.searchsorted(tf.gather(leads, several), until, out_type=tf.int32)
        following = tf.concat([following, [count]], 0)
        applied = put(tf.zeros_like(following), tf.zeros([1], tf.int32), 1)

        def double(step, applied, following):
            reached = tf.tensor_scatter_nd_max(applied, following[:, None], applied)
            return step * 2, reached, tf.gather(following, following)

        _, applied, _ = tf.while_loop(
            lambda step, *_: step <= count,
            double,
            (tf.constant(1), applied, following),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None]), tf.TensorShape([None])),
        )
        rules = find_places(applied[:-1] > 0)
        first = tf.cast(tf.gather(several, rules), tf.int32) + 1
        last = tf.searchsorted(leads, tf.gather(until, rules), out_type=tf.int32)
        replaced = tf.ragged.range(first, last, row_splits_dtype=tf.int32).values
        return put(tf.ones_like(leads, tf.bool), replaced, False)


def _find_offset(unit: tf.Tensor) -> tf.Tensor:
    shifted = tf.bitwise.bitwise_and(tf.bitwise.right_shift(unit, 10), 0x3FFFFF)
    wide = tf.bitwise.bitwise_and(unit, 1 << 9) != 0
    return tf.where(wide, tf.bitwise.left_shift(shifted, 8), shifted)


def find_leads(symbols: tf.Tensor) -> tf.Tensor:
    """int32 places at which characters begin, and those of `START` and `END`."""
    return tf.cast(find_places(tf.bitwise.bitwise_and(symbols, 0x1C0) != 0x80), tf.int32)


def read_symbols(texts: tf.Tensor) -> tf.Tensor:
    """int32 (any,), the UTF-8 of all texts, with `START` and `END` around each; what is no UTF-8 becomes U+FFFD."""
    decoded = tf.strings.unicode_decode(tf.strings.join([" ", texts, " "]), "UTF-8", errors="replace")
    raw = tf.io.decode_raw(tf.strings.unicode_encode(decoded.flat_values, "UTF-8"), tf.uint8)
    symbols = tf.cast(raw, tf.int32)
    leads = find_leads(symbols)
    splits = tf.cast(decoded.row_splits, tf.int32)
    symbols = put(symbols, tf.gather(leads, splits[:-1]), START)
    return put(symbols, tf.gather(leads, splits[1:] - 1), END)


def decode_symbols(symbols: tf.Tensor, start: int, end: int) -> tf.Tensor:
    """int32 (any,), the code points of well-formed UTF-8; `start` and `end` for `START` and `END`."""
    leads = find_leads(symbols)
    first = tf.gather(symbols, leads)
    tails = [tf.bitwise.bitwise_and(tf.gather(shift(symbols, -place, 0), leads), 0x3F) for place in (1, 2, 3)]
    points = first
    for minimum, mask, count in ((0xC0, 0x1F, 1), (0xE0, 0x0F, 2), (0xF0, 0x07, 3)):
        value = tf.bitwise.bitwise_and(first, mask)
        for tail in tails[:count]:
            value = value * 64 + tail
        points = tf.where(first >= minimum, value, points)
    points = tf.where(first == START, start, points)
    return tf.where(first == END, end, points)

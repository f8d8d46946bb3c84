"""The likeliest spelling of words in the pieces of a unigram language model (Viterbi), in core TensorFlow ops."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from kerasft.text.ops import collect, find_places, put
from kerasft.text.tokenizers.trie import build_trie
from kerasft.text.tokenizers.unigram_vocabulary import UnigramVocabulary

SEPARATOR_SYMBOL, UNKNOWN_SYMBOL, FIRST_SYMBOL = 0, 1, 2


class Spelling(tf.Module):
    """Finds the pieces whose scores have the largest sum; of equal ones those of which the last is the longest.

    Args:
        vocabulary: the pieces.
        symbols: character → symbol, from `FIRST_SYMBOL` on.
    """

    def __init__(self, vocabulary: UnigramVocabulary, symbols: Mapping[str, int], name: str = "spelling"):
        super().__init__(name=name)
        pieces = [([symbols[c] for c in piece], place) for piece, place in vocabulary.index.items()]
        trie = build_trie([pieces], FIRST_SYMBOL + len(symbols))
        self._root = trie.roots[0]
        self._longest = max(len(piece) for piece in vocabulary.index)
        self._unknown = vocabulary.unknown
        self._dtype = tf.float64 if vocabulary.splits_words else tf.float32
        scores = np.array(vocabulary.scores, np.float64)
        with tf.device("CPU:0"):
            self._base = tf.constant(trie.base, tf.int32)
            self._owner = tf.constant(trie.owner, tf.int32)
            self._piece = tf.constant(trie.piece, tf.int32)
            self._length = tf.constant(trie.length, tf.int32)
            self._scores = tf.constant(scores, self._dtype)
            self._unknown_score = tf.constant(vocabulary.unknown_score, self._dtype)

    def find(self, symbols: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
        """For each symbol the id of the piece that begins there, or -1; all int32 (any,).

        Args:
            symbols: of all words, a separator after each.
            starts, ends: where words begin, and where the separator after each stands.
        """
        scores, ids = self._list_candidates(symbols)
        choice = self._choose(scores, starts, ends)
        begins, found = self._follow(choice, ids, starts, ends)
        return put(tf.fill(tf.shape(symbols), -1), begins, found)

    def _list_candidates(self, symbols: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """For each place the pieces that end before it: scores (any, longest) and int32 ids (any, longest), the longest
        piece first."""

        def advance(begin, place, node):
            slot = tf.gather(self._base, node) + tf.gather(symbols, place)
            exists = find_places(tf.gather(self._owner, slot) == node)
            begin, place, slot = (tf.gather(each, exists) for each in (begin, place, slot))
            complete = find_places(tf.gather(self._length, slot) == place - begin + 1)
            rows = tf.stack([tf.gather(place, complete), tf.gather(slot, complete)], 1)
            return rows, begin, place + 1, slot

        count = tf.size(symbols)
        places = tf.cast(find_places(symbols != SEPARATOR_SYMBOL), tf.int32)
        lasts, slots = collect(advance, (places, places, tf.fill(tf.shape(places), self._root)))
        pieces, lengths = tf.gather(self._piece, slots), tf.gather(self._length, slots)
        # A character that is no piece by itself is unknown, and one step of the way nevertheless.
        known = put(tf.fill([count], False), tf.gather(lasts, find_places(lengths == 1)), True)
        unknown = tf.cast(find_places(~known & (symbols != SEPARATOR_SYMBOL)), tf.int32)
        pieces = tf.concat([pieces, tf.fill(tf.shape(unknown), self._unknown)], 0)
        cells = (lasts + 1) * self._longest + self._longest - lengths
        cells = tf.concat([cells, (unknown + 1) * self._longest + self._longest - 1], 0)
        scores = tf.where(pieces == self._unknown, self._unknown_score, tf.gather(self._scores, pieces))
        size = count * self._longest
        table = put(tf.fill([size], tf.constant(-np.inf, self._dtype)), cells, scores)
        ids = put(tf.fill([size], -1), cells, pieces)
        return tf.reshape(table, [-1, self._longest]), tf.reshape(ids, [-1, self._longest])

    def _choose(self, scores: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
        """int32 (any,), for each place which of the pieces that end before it is on the best way there."""

        def advance(place, end, window):
            sums = window + tf.gather(scores, place)
            best = tf.argmax(sums, 1, output_type=tf.int32)
            window = tf.concat([window[:, 1:], tf.reduce_max(sums, 1, keepdims=True)], 1)
            left = find_places(place < end)
            rows = tf.stack([place, best], 1)
            return rows, tf.gather(place, left) + 1, tf.gather(end, left), tf.gather(window, left)

        before = tf.fill([tf.size(starts), self._longest - 1], tf.constant(-np.inf, self._dtype))
        window = tf.concat([before, tf.zeros([tf.size(starts), 1], self._dtype)], 1)
        places, best = collect(advance, (starts + 1, ends, window))
        return put(tf.zeros([tf.shape(scores)[0]], tf.int32), places, best)

    def _follow(self, choice, ids, starts, ends) -> tuple[tf.Tensor, tf.Tensor]:
        """Walks the best ways back: where pieces begin, and their ids."""

        def advance(place, start):
            best = tf.gather(choice, place)
            piece = tf.gather_nd(ids, tf.stack([place, best], 1))
            begin = place - self._longest + best
            left = find_places(begin > start)
            rows = tf.stack([begin, piece], 1)
            return rows, tf.gather(begin, left), tf.gather(start, left)

        return collect(advance, (ends, starts))

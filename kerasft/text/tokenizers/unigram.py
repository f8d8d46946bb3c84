"""SentencePiece's unigram language model in core TensorFlow ops: a SavedModel of it loads with TensorFlow alone.

Text is normalised and split before its spaces; of each different word of a batch the likeliest spelling is found, for
all of them at once, a round for each character of the longest.

Source: Kudo 2018, arXiv:1804.10959; Kudo and Richardson 2018, arXiv:1808.06226.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import tensorflow as tf

from kerasft.text.ops import find_next, find_places, put, shift, split_places
from kerasft.text.tokenizers.charsmap import Charsmap, decode_symbols, read_symbols
from kerasft.text.tokenizers.module import GraphTokenizer, list_special_ids
from kerasft.text.tokenizers.paging import build_pages, look_up
from kerasft.text.tokenizers.patterns import CODE_POINTS
from kerasft.text.tokenizers.spelling import FIRST_SYMBOL, SEPARATOR_SYMBOL, UNKNOWN_SYMBOL, Spelling
from kerasft.text.tokenizers.unigram_vocabulary import SPACE, UnigramVocabulary

_START, _END = CODE_POINTS, CODE_POINTS + 1
_SPACE = ord(SPACE)
_UNKNOWN_SURFACE = " \u2047 "


class Unigram(GraphTokenizer):
    """The same ids as SentencePiece gives, or `tokenizers` where the vocabulary came from a tokenizer.json.

    Text is data: a special token spelled out in it ("</s>") is split like any other text. Bytes that are not UTF-8
    become U+FFFD, which the usual rules make a space.

    Decoding gives the normalised text; where unknown characters stood there is ` \u2047 `, as SentencePiece writes it.

    Args:
        vocabulary: the pieces with their scores, and the rules of normalising.
    """

    def __init__(self, vocabulary: UnigramVocabulary, name: str = "unigram"):
        special = list_special_ids(vocabulary, vocabulary.unknown)
        super().__init__(special, vocabulary.size, vocabulary.fingerprint(), name)
        self.vocabulary = vocabulary
        self.starts_with_space = vocabulary.adds_space
        self._charsmap = Charsmap(vocabulary.charsmap) if vocabulary.charsmap else None
        # Where a piece continues after a space, whole texts must be looked at.
        self._splits = not any(SPACE in piece[1:] for piece in vocabulary.index)
        counts = Counter(character for piece in vocabulary.index for character in piece)
        symbols = {c: FIRST_SYMBOL + place for place, (c, _) in enumerate(counts.most_common())}
        self._spelling = Spelling(vocabulary, symbols)
        symbol_of = np.full(CODE_POINTS, UNKNOWN_SYMBOL, np.int32)
        symbol_of[[ord(character) for character in symbols]] = list(symbols.values())
        pages, entries = build_pages(symbol_of)
        with tf.device("CPU:0"):
            self._pages, self._entries = tf.constant(pages), tf.constant(entries)
            strings = [_spell_out(vocabulary, place) for place in range(vocabulary.size)]
            self._strings = tf.constant(strings)
            self._strings_at_start = tf.constant(
                [
                    string[1:] if piece.startswith(SPACE) and place not in vocabulary.special else string
                    for place, (piece, string) in enumerate(zip(vocabulary.pieces, strings, strict=True))
                ]
            )
            self._bytes = tf.constant(vocabulary.byte_ids or [0] * 256, tf.int32)

    def spell(self, ids: tf.Tensor) -> tf.Tensor:
        """int32 (any shape) → string (the same shape): a piece, with a space where it starts a word; nothing for
        special tokens."""
        with tf.device("CPU:0"):
            return tf.gather(self._strings, ids)

    def _decode(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """SentencePiece leaves out the space of each piece at the start where the model removes spaces from its input;
        `tokenizers` leaves out that of the first alone."""
        if not self.vocabulary.strips_spaces or self.vocabulary.splits_words:
            return super()._decode(ids)
        with tf.device("CPU:0"):
            places = tf.range(tf.size(ids.flat_values))
            at_start = tf.gather(self._strings_at_start, ids.flat_values)
            written = tf.where(at_start != "", places, tf.int32.max)
            firsts = tf.repeat(tf.reduce_min(ids.with_flat_values(written), axis=-1), ids.row_lengths())
            strings = tf.where(places <= firsts, at_start, self.spell(ids.flat_values))
            return tf.strings.reduce_join(ids.with_flat_values(strings), axis=-1)

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        with tf.device("CPU:0"):
            points = self._normalise(texts)
            before = shift(points, 1, _END)
            starts = (before == _END) | (points == _END)
            if self._splits:
                starts |= points == _SPACE
            places = find_places(starts)
            ends = find_places(points == _END)
            of_text = tf.concat([[0], tf.searchsorted(places, ends) + 1], 0)
            of_word = tf.concat([places, tf.size(points, tf.int64)[None]], 0)
            words = tf.RaggedTensor.from_row_splits(points, of_word, validate=False)
            different, which = tf.unique(tf.strings.unicode_encode(words, "UTF-8"))
            ids, splits = self._spell_words(different)
            firsts = tf.gather(splits, which)
            counts = tf.gather(splits[1:] - splits[:-1], which)
            # The place after each text is no word.
            counts = put(counts, of_text[1:] - 1, 0)
            found = tf.ragged.range(firsts, firsts + counts, row_splits_dtype=tf.int32)
            return self._join_unknown(tf.gather(ids, found.values), tf.gather(found.row_splits, of_text))

    def _normalise(self, texts: tf.Tensor) -> tf.Tensor:
        """int32 (any,), the code points of all texts, normalised, with `_SPACE` for spaces and `_END` after each."""
        symbols = read_symbols(texts)
        if self._charsmap is not None:
            # A text that is empty gets no space, one that becomes empty does.
            empty = (symbols == 0x100) & (shift(symbols, -1, 0) == 0x101)
            symbols = tf.gather(symbols, find_places(~empty))
            symbols = self._charsmap.apply(symbols)
            points = decode_symbols(symbols, _START, _END)
        else:
            points = decode_symbols(symbols, _START, _END)
            empty = (points == _START) & (shift(points, -1, 0) == _END)
            points = tf.gather(points, find_places(~empty))
        blank = points == ord(" ")
        kept = tf.ones_like(blank) if self.vocabulary.adds_space else points != _START
        if self.vocabulary.strips_spaces:
            kept &= ~(blank & (shift(blank, 1, True) | (shift(points, 1, _START) == _START)))
        points = tf.gather(points, find_places(kept))
        points = tf.where((points == _START) | (points == ord(" ")), _SPACE, points)
        if self.vocabulary.strips_spaces:
            ends = tf.gather(points, find_next(points != _SPACE))
            points = tf.gather(points, find_places((points != _SPACE) | (ends != _END)))
        return points

    def _spell_words(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """int32 token ids of all words, flat, and int32 (words + 1,), where each word's begin."""
        decoded = tf.strings.unicode_decode(tf.strings.join([words, " "]), "UTF-8", errors="replace")
        points, splits = decoded.flat_values, tf.cast(decoded.row_splits, tf.int32)
        symbols = look_up(self._pages, self._entries, points)
        symbols = put(symbols, splits[1:] - 1, SEPARATOR_SYMBOL)
        ids = self._spelling.find(symbols, splits[:-1], splits[1:] - 1)
        places = find_places(ids >= 0)
        ids, splits = tf.gather(ids, places), split_places(places, splits)
        if self.vocabulary.byte_ids:
            return self._spell_bytes(ids, splits, tf.gather(points, places))
        return ids, splits

    def _spell_bytes(self, ids, splits, points) -> tuple[tf.Tensor, tf.Tensor]:
        """Puts the bytes of unknown characters, given by code points, in the place of their tokens."""
        unknown = find_places(ids == self.vocabulary.unknown)
        characters = tf.strings.unicode_encode(tf.gather(points, unknown)[:, None], "UTF-8")
        lengths = tf.strings.length(characters)
        raw = tf.cast(tf.io.decode_raw(tf.strings.reduce_join(characters), tf.uint8), tf.int32)
        source = tf.concat([ids, tf.gather(self._bytes, raw)], 0)
        counts = put(tf.ones_like(ids), unknown, lengths)
        starts = put(tf.range(tf.size(ids)), unknown, tf.size(ids) + tf.cumsum(lengths, exclusive=True))
        found = tf.ragged.range(starts, starts + counts, row_splits_dtype=tf.int32)
        return tf.gather(source, found.values), tf.gather(found.row_splits, splits)

    def _join_unknown(self, ids: tf.Tensor, splits: tf.Tensor) -> tf.RaggedTensor:
        """Of unknown tokens in a row only the first is left."""
        unknown = ids == self.vocabulary.unknown
        again = unknown & shift(unknown, 1, False)
        first = tf.gather(splits[:-1], find_places(splits[1:] > splits[:-1]))
        places = find_places(~put(again, first, False))
        return tf.RaggedTensor.from_row_splits(
            tf.gather(ids, places), split_places(places, splits), validate=False
        )


def _spell_out(vocabulary: UnigramVocabulary, place: int) -> bytes:
    if place in vocabulary.byte_ids:
        return bytes([vocabulary.byte_ids.index(place)])
    if place == vocabulary.unknown:
        return _UNKNOWN_SURFACE.encode()
    return b"" if place in vocabulary.special else vocabulary.pieces[place].replace(SPACE, " ").encode()

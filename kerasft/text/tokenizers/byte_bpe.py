"""Byte-level BPE in core TensorFlow ops: a SavedModel of it loads with TensorFlow alone.

Text is split into words, each different word of a batch is looked at once, and a word that is a token needs no more.
The bytes of all others are merged together, a round for each merge that the longest of them needs.

Source: Sennrich et al. 2016, arXiv:1508.07909; Radford et al. 2019, "Language models are unsupervised multitask
learners".
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from kerasft.text.ops import collect, find_last, find_places, put, split_places
from kerasft.text.tokenizers.base import ABSENT
from kerasft.text.tokenizers.bpe_vocabulary import ByteBpeVocabulary
from kerasft.text.tokenizers.module import GraphTokenizer, list_special_ids
from kerasft.text.tokenizers.pair_table import build_pair_table
from kerasft.text.tokenizers.patterns import PATTERNS
from kerasft.text.tokenizers.splitting import PatternSplitter

_NO_RANK = 2**31 - 1


class ByteBpe(GraphTokenizer):
    """The same ids as Hugging Face `tokenizers` gives, and the very bytes of a text back from them.

    Where a vocabulary lacks some bytes, these do not come back.

    Text is data: a special token spelled out in it ("<|endoftext|>") is split like any other text. Bytes that are not
    UTF-8 become U+FFFD.

    Args:
        vocabulary: the tokens, the merges and the pattern.
    """

    starts_with_space = False

    def __init__(self, vocabulary: ByteBpeVocabulary, name: str = "byte_bpe"):
        special = list_special_ids(vocabulary, vocabulary.unknown)
        super().__init__(special, vocabulary.size, vocabulary.fingerprint(), name)
        self.vocabulary = vocabulary
        self._splitter = PatternSplitter(PATTERNS[vocabulary.pattern])
        merges = np.array(vocabulary.merges, np.int64).reshape(-1, 2)
        pairs = build_pair_table(merges, vocabulary.size)
        plain = [b"" if place in vocabulary.special else t for place, t in enumerate(vocabulary.tokens)]
        # Strings live on the CPU, and so does all that follows from them.
        with tf.device("CPU:0"):
            self._strings = tf.constant(plain, tf.string)
            self._byte_ids = tf.constant(vocabulary.byte_ids, tf.int32)
            self._base = tf.constant(pairs.base)
            self._owner = tf.constant(pairs.owner)
            self._pair = tf.constant(pairs.pair)
            self._results = tf.constant(np.append(vocabulary.results, 0), tf.int32)
            safe = vocabulary.is_safe
            self._is_safe = None if safe.all() else tf.constant(np.append(safe, True))
            self._words = tf.constant(self._find_words_that_are_tokens())

    def spell(self, ids: tf.Tensor) -> tf.Tensor:
        """int32 (any shape) → string (the same shape), each token's bytes; nothing for special tokens."""
        with tf.device("CPU:0"):
            return tf.gather(self._strings, ids)

    def _find_words_that_are_tokens(self) -> np.ndarray:
        """int32 (buckets,), by the hash of its bytes a token that stands for a whole word, or -1."""
        ids = np.array([i for token, i in self.vocabulary.index.items() if len(token) > 1], np.int32)
        if not self.vocabulary.ignores_merges and len(ids):
            tokens, splits = (array.numpy() for array in self._merge(tf.gather(self._strings, ids)))
            alone = np.diff(splits) == 1
            ids = ids[alone & (tokens[np.minimum(splits[:-1], len(tokens) - 1)] == ids)]
        words = np.full(1 << (4 * self.vocabulary.size).bit_length(), -1, np.int32)
        # Where two have the same hash the later one, which is rarer, is left out: it is merged like any other word.
        words[self._hash(tf.gather(self._strings, ids[::-1]), len(words)).numpy()] = ids[::-1]
        return words

    def _hash(self, words: tf.Tensor, buckets: int) -> tf.Tensor:
        return tf.strings.to_hash_bucket_fast(words, buckets)

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        with tf.device("CPU:0"):
            words, of_text = self._split(texts)
            different, which = tf.unique(words)
            ids, starts, counts = self._look_up(different)
            counts = tf.gather(counts, which)
            # The place after each text is no word.
            counts = put(counts, of_text[1:] - 1, 0)
            starts = tf.gather(starts, which)
            found = tf.ragged.range(starts, starts + counts, row_splits_dtype=tf.int32)
            splits = tf.gather(found.row_splits, of_text)
            return tf.RaggedTensor.from_row_splits(tf.gather(ids, found.values), splits, validate=False)

    def _split(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The batch's words as UTF-8, one more after each text, and where each text's begin."""
        decoded = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8", errors="replace")
        code_points, splits = decoded.flat_values, decoded.row_splits
        starts = self._splitter.split(code_points, splits[1:] - 1)
        places = find_places(starts)
        of_word = tf.concat([places, splits[-1:]], 0)
        words = tf.RaggedTensor.from_row_splits(code_points, of_word, validate=False)
        return tf.strings.unicode_encode(words, "UTF-8"), split_places(places, splits)

    def _look_up(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Token ids, and of each word where among them its ids start, and how many they are."""
        token = tf.gather(self._words, self._hash(words, int(self._words.shape[0])))
        is_token = (token >= 0) & (tf.gather(self._strings, tf.maximum(token, 0)) == words)
        others = find_places(~is_token)
        ids, splits = self._merge(tf.gather(words, others))
        starts = put(tf.range(tf.size(words)), others, tf.size(words) + splits[:-1])
        counts = put(tf.ones_like(token), others, splits[1:] - splits[:-1])
        return tf.concat([token, ids], 0), starts, counts

    def _merge(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Merges the bytes of all words: int32 token ids, flat, and int32 (words + 1,), where each word's begin."""
        symbols = tf.gather(self._byte_ids, _read_bytes(words))
        splits = tf.concat([[0], tf.cumsum(tf.strings.length(words))], 0)
        starts = put(tf.zeros_like(symbols), splits[:-1], 1)
        state = symbols, tf.cumsum(starts) - 1, tf.range(tf.size(symbols))
        if ABSENT in self.vocabulary.byte_ids:
            kept = find_places(symbols != ABSENT)
            state = tuple(tf.gather(each, kept) for each in state)
        found = collect(self._merge_once, state)
        ids = put(tf.fill(tf.shape(symbols), -1), *found)
        places = find_places(ids >= 0)
        return tf.gather(ids, places), split_places(places, splits)

    def _merge_once(self, ids: tf.Tensor, word: tf.Tensor, place: tf.Tensor):
        """In each word the merge that comes first, wherever it applies; words in which none does are done.

        Args:
            ids: the symbols, those of words that are done left out.
            word: which word each belongs to, ascending.
            place: where its bytes start.
        """
        slot = tf.gather(self._base, ids[:-1]) + ids[1:]
        exists = (tf.gather(self._owner, slot) == ids[:-1]) & (word[:-1] == word[1:])
        rank = tf.where(exists, tf.gather(self._pair, slot), _NO_RANK)
        rank = tf.concat([rank, [_NO_RANK]], 0)
        first = tf.gather(tf.math.segment_min(rank, word), word)
        done = first == _NO_RANK
        merges = (rank == first) & ~done
        if self._is_safe is not None:
            merges = self._keep_first(merges, rank, word)
        # Of three equal symbols in a row only the first two are merged.
        index = tf.range(tf.size(ids))
        merges &= (index - find_last(~merges)) % 2 == 1
        result = tf.gather(self._results, tf.where(merges, rank, 0))
        gone = tf.concat([[False], merges[:-1]], 0)
        left, finished = find_places(~(done | gone)), find_places(done)
        return (
            tf.stack([tf.gather(place, finished), tf.gather(ids, finished)], 1),
            tf.gather(tf.where(merges, result, ids), left),
            tf.gather(word, left),
            tf.gather(place, left),
        )

    def _keep_first(self, merges: tf.Tensor, rank: tf.Tensor, word: tf.Tensor) -> tf.Tensor:
        """Leaves but the first place in a word to a merge whose result an earlier one uses."""
        index = tf.range(tf.size(rank))
        first = tf.math.segment_min(tf.where(merges, index, _NO_RANK), word)
        safe = tf.gather(self._is_safe, tf.where(merges, rank, 0))
        return merges & (safe | (tf.gather(first, word) == index))


def _read_bytes(words: tf.Tensor) -> tf.Tensor:
    """int32 (any,), the bytes of all strings, one after the other."""
    return tf.cast(tf.io.decode_raw(tf.strings.reduce_join(words), tf.uint8), tf.int32)

"""BERT's tokenizer in core TensorFlow ops: a SavedModel of it loads with TensorFlow alone.

Text becomes code points, code points become symbols of the vocabulary by the frozen character table, and all
words of a batch walk a trie of the pieces at once. Tables are plain constants and each step a gather: no hash
tables to initialise, no Python, no custom ops.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import tensorflow as tf

from kerasft.text.ops import collect, compile_method, find_places, put, split_places
from kerasft.text.tokenizers.base import SpecialIds
from kerasft.text.tokenizers.character_table import (
    BLOCKER_SYMBOL,
    FIRST_SYMBOL,
    LENGTH_BITS,
    PAGE,
    SEPARATOR_SYMBOL,
    Kind,
    build_symbol_table,
    load_character_table,
)
from kerasft.text.tokenizers.framing import check_length
from kerasft.text.tokenizers.module import GraphTokenizer
from kerasft.text.tokenizers.trie import build_trie
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary

_NONE = -1
_FAILED = -2


class WordPiece(GraphTokenizer):
    """BERT's basic and WordPiece tokenizer: the same ids as Hugging Face `tokenizers` gives.

    Text is data: a special token spelled out in it ("[SEP]") is split like any other text and never becomes the
    special token's id. Bytes that are not UTF-8 are dropped, as U+FFFD, control characters and NUL are.

    Decoding gives the words with one space between them: what normalising and splitting took away (case and accents of
    an uncased vocabulary, white space, whether a space stood beside punctuation) does not come back.

    Memory and time grow with the characters of a batch; of a long text only as many words are looked up as
    tokens are asked for.

    Args:
        vocabulary: the pieces and the rules of normalising.
        split_characters: whether every character of a text is a word of its own, as if white space stood around it.

    Source: Devlin et al. 2019, arXiv:1810.04805; greedy longest match as in Wu et al. 2016, arXiv:1609.08144.
    """

    def __init__(
        self, vocabulary: WordPieceVocabulary, *, split_characters: bool = False, name: str = "word_piece"
    ):
        special = SpecialIds(*(vocabulary.index[token] for token in vocabulary.special_tokens))
        super().__init__(special, vocabulary.size, vocabulary.fingerprint(), name)
        self.vocabulary = vocabulary
        self._max_characters_per_word = vocabulary.max_characters_per_word
        self._unknown_id = vocabulary.unknown_id
        self._cls_id = vocabulary.cls_id
        self._separator_id = vocabulary.separator_id
        self._padding_id = vocabulary.padding_id
        characters = load_character_table(vocabulary.lowercase, vocabulary.strip_accents)
        symbols, families = _spell_pieces(vocabulary, characters.kinds)
        table = build_symbol_table(
            characters, symbols, split_cjk=vocabulary.split_cjk, split_all=split_characters
        )
        trie = build_trie(families, FIRST_SYMBOL + len(symbols))
        self._word_root, self._continuation_root = trie.roots
        # Strings live on the CPU, and so does all that follows from them.
        with tf.device("CPU:0"):
            self._pages = tf.constant(table.pages, tf.int32)
            self._entries = tf.constant(table.entries, tf.int32)
            self._sequences = tf.constant(table.sequences, tf.int32)
            self._mark_ranks = None if table.mark_ranks is None else tf.constant(table.mark_ranks, tf.int32)
            self._base = tf.constant(trie.base, tf.int32)
            self._owner = tf.constant(trie.owner, tf.int32)
            # The longest piece that ends on the way to a node, and its length.
            longest = np.stack([np.where(trie.piece < 0, _FAILED, trie.piece), trie.length], 1)
            self._longest = tf.constant(longest, tf.int32)
            self._strings = tf.constant([self._spell_out(piece) for piece in vocabulary.pieces])
        self._encode_ragged_in_graph = compile_method(self._encode_ragged)
        self._encode_in_graph = compile_method(self._encode)

    def _spell_out(self, piece: str) -> str:
        if piece in self.vocabulary.special_tokens and piece != self.vocabulary.unknown:
            return ""
        mark = self.vocabulary.continuation
        return piece[len(mark) :] if piece.startswith(mark) else f" {piece}"

    def spell(self, ids: tf.Tensor) -> tf.Tensor:
        """int32 (any shape) → string (the same shape): a piece, with a space before it if it starts a word; the unknown
        token as it is written; nothing for other special tokens."""
        with tf.device("CPU:0"):
            return tf.gather(self._strings, ids)

    def encode_ragged(self, texts: tf.Tensor, max_length: int) -> tf.RaggedTensor:
        """Token ids as a model takes them, not padded: cls, at most max_length - 2 tokens, separator.

        Args:
            texts: string (batch,), UTF-8.
            max_length: tokens a text may have, special ones included; at least 2. Longer texts are cut.

        Returns:
            int32 (batch, ragged).

        Raises:
            ValueError: max_length is below 2.
        """
        return self._encode_ragged_in_graph(tf.convert_to_tensor(texts, tf.string), check_length(max_length))

    def encode(
        self, texts: tf.Tensor, max_length: int, pair: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Token ids, segment ids and padding mask as BERT takes them, padded to the batch's longest.

        Args:
            texts: string (batch,), UTF-8.
            max_length: tokens a row may have, special ones included; at least 2, or 3 with a pair. Longer texts are
                cut, of two the longer first.
            pair: string (batch,): each text's second one.

        Returns:
            token_ids: int32 (batch, longest), cls … separator, then padding.
            segment_ids: int32 (batch, longest), 1 for the second text and the separator after it, else 0.
            padding_mask: int32 (batch, longest), 1 for tokens and 0 for padding.

        Raises:
            ValueError: max_length has no room for the special tokens.
        """
        texts = tf.convert_to_tensor(texts, tf.string)
        if pair is None:
            return self._encode_in_graph(texts, check_length(max_length))
        return super().encode(texts, max_length, pair)

    def _tokenize(self, texts: tf.Tensor) -> tf.RaggedTensor:
        ids, splits = self._compute_ids(texts, None)
        return tf.RaggedTensor.from_row_splits(ids, splits, validate=False)

    def _encode_ragged(self, texts: tf.Tensor, max_length: tf.Tensor) -> tf.RaggedTensor:
        ids, splits = self._compute_ids(texts, max_length - 2)
        with tf.device("CPU:0"):
            starts, lengths = self._truncate(splits, max_length - 2)
            # Each text takes one place more at either end, where its neighbours' ids are written over.
            framed = tf.ragged.range(starts, starts + lengths + 2, row_splits_dtype=tf.int32)
            values = tf.gather(tf.pad(ids, [[1, 1]]), framed.values)
            firsts, lasts = framed.row_splits[:-1], framed.row_splits[1:] - 1
            values = put(put(values, firsts, self._cls_id), lasts, self._separator_id)
            return tf.RaggedTensor.from_row_splits(values, framed.row_splits, validate=False)

    def _encode(self, texts: tf.Tensor, max_length: tf.Tensor) -> dict[str, tf.Tensor]:
        ids, splits = self._compute_ids(texts, max_length - 2)
        with tf.device("CPU:0"):
            return self._frame(ids, *self._truncate(splits, max_length - 2))

    def _frame(self, ids: tf.Tensor, starts: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        """A model's inputs: a row for each stretch of the flat ids, cls and separator around it, then padding."""
        starts, lengths = starts[:, None], lengths[:, None]
        longest = tf.maximum(tf.reduce_max(lengths), 0)
        column = tf.range(longest + 2)[None, :]
        tokens = tf.gather(tf.pad(ids, [[1, 0]]), tf.minimum(starts + column, tf.size(ids)))
        tokens = tf.where(column <= lengths, tokens, self._padding_id)
        tokens = tf.where(column == lengths + 1, self._separator_id, tokens)
        tokens = tf.where(column == 0, self._cls_id, tokens)
        return {
            "token_ids": tokens,
            "segment_ids": tf.zeros_like(tokens),
            "padding_mask": tf.cast(column <= lengths + 1, tf.int32),
        }

    def _truncate(self, splits: tf.Tensor, max_tokens) -> tuple[tf.Tensor, tf.Tensor]:
        return splits[:-1], tf.minimum(splits[1:] - splits[:-1], max_tokens)

    def _compute_ids(self, texts: tf.Tensor, max_words: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """The batch's token ids, flat, and where each text's begin; words past a text's `max_words` are left out."""
        with tf.device("CPU:0"):
            symbols, splits = self._compute_symbols(texts)
            starts, ends = self._find_words(symbols)
            if max_words is not None:
                starts, ends = self._keep_first_words(starts, ends, splits, max_words)
            ids = self._match(symbols, starts, ends)
            places = find_places(ids >= 0)
            return tf.gather(ids, places), split_places(places, splits)

    def _compute_symbols(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The batch's symbols, flat, a separator after each text, and where each text's begin."""
        decoded = tf.strings.unicode_decode(tf.strings.join([texts, " "]), "UTF-8", errors="replace")
        return self._spell(decoded.flat_values, tf.cast(decoded.row_splits, tf.int32))

    def _spell(self, code_points: tf.Tensor, splits: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The code points' symbols, flat, and where those of the code points at `splits` begin."""
        pages = tf.gather(self._pages, tf.bitwise.right_shift(code_points, PAGE.bit_length() - 1))
        entries = tf.gather(self._entries, pages * PAGE + tf.bitwise.bitwise_and(code_points, PAGE - 1))
        first = tf.bitwise.right_shift(entries, LENGTH_BITS)
        last = first + tf.bitwise.bitwise_and(entries, 2**LENGTH_BITS - 1)
        expanded = tf.ragged.range(first, last, row_splits_dtype=tf.int32)
        symbols = tf.gather(self._sequences, expanded.values)
        splits = tf.gather(expanded.row_splits, splits)
        if self._mark_ranks is not None:
            symbols = self._order_marks(symbols)
            kept = find_places(symbols != BLOCKER_SYMBOL)
            symbols, splits = tf.gather(symbols, kept), split_places(kept, splits)
        return symbols, splits

    def _order_marks(self, symbols: tf.Tensor) -> tf.Tensor:
        """Puts runs of combining marks in canonical order, as decomposing (NFD) does."""
        ranks = tf.gather(self._mark_ranks, symbols)
        # Everything that is no such mark opens a run of its own; the marks after it are sorted within the run.
        runs = tf.cumsum(tf.cast(ranks == 0, tf.int64))
        return tf.gather(symbols, tf.argsort(runs * 256 + tf.cast(ranks, tf.int64), stable=True))

    def _find_words(self, symbols: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Where words begin, and where the separator after each stands."""
        inside = symbols != SEPARATOR_SYMBOL
        before = tf.concat([[False], inside[:-1]], 0)
        starts, ends = find_places(inside & ~before), find_places(before & ~inside)
        return tf.cast(starts, tf.int32), tf.cast(ends, tf.int32)

    def _keep_first_words(self, starts, ends, splits, max_words) -> tuple[tf.Tensor, tf.Tensor]:
        # Each word gives at least one token, so that a text's later words cannot be among its first tokens.
        of_text = split_places(starts, splits)
        limits = tf.minimum(of_text[1:], of_text[:-1] + max_words)
        kept = tf.ragged.range(of_text[:-1], limits).values
        return tf.gather(starts, kept), tf.gather(ends, kept)

    def _match(self, symbols: tf.Tensor, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
        """For each symbol the id of the piece that begins there, or a negative number."""
        ids = tf.fill(tf.shape(symbols), _NONE)
        short = ends - starts <= self._max_characters_per_word
        ids = put(ids, tf.gather(starts, find_places(~short)), self._unknown_id)
        begins, pieces = self._walk(symbols, tf.gather(starts, find_places(short)))
        ids = put(ids, begins, pieces)
        # Of a word in which some part matched no piece all pieces are taken back.
        failed = tf.cast(find_places(ids == _FAILED), tf.int32)
        words = tf.gather(starts, tf.searchsorted(starts, failed, side="right") - 1)
        ids = put(ids, tf.ragged.range(words, failed).values, _NONE)
        return put(ids, words, self._unknown_id)

    def _walk(self, symbols: tf.Tensor, starts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Walks the trie one symbol a round for all words at once; a word restarts after each piece it found.

        Returns:
            where pieces begin and their ids, in any order; `_FAILED` where the rest of a word begins with no piece.
        """

        def advance(begin, place, node):
            slot = tf.gather(self._base, node) + tf.gather(symbols, place)
            exists = tf.gather(self._owner, slot) == node
            walking, stopped = find_places(exists), find_places(~exists)
            last_begin = tf.gather(begin, stopped)
            piece, length = tf.unstack(tf.gather(self._longest, tf.gather(node, stopped)), 2, axis=1)
            end = last_begin + length
            goes_on = (piece >= 0) & (tf.gather(symbols, end) != SEPARATOR_SYMBOL)
            again = tf.gather(end, find_places(goes_on))
            return (
                tf.stack([last_begin, piece], 1),
                tf.concat([tf.gather(begin, walking), again], 0),
                tf.concat([tf.gather(place, walking) + 1, again], 0),
                tf.concat([tf.gather(slot, walking), tf.fill(tf.shape(again), self._continuation_root)], 0),
            )

        return collect(advance, (starts, starts, tf.fill(tf.shape(starts), self._word_root)))


def _spell_pieces(vocabulary: WordPieceVocabulary, kinds):
    """Numbers the pieces' characters, the most frequent first, and spells the pieces with these numbers.

    Pieces that no word can hold are left out: those with white space, or with punctuation beside other characters.
    """
    split_kinds = {Kind.SEPARATOR, Kind.PUNCTUATION} | ({Kind.CJK} if vocabulary.split_cjk else set())

    def reachable(piece: str) -> bool:
        found = {int(kinds[ord(character)]) for character in piece}
        if Kind.SEPARATOR in found:
            return False
        return len(piece) == 1 or not found & split_kinds

    words = [(piece, place) for place, piece in enumerate(vocabulary.pieces)]
    mark = vocabulary.continuation
    endings = [(piece[len(mark) :], place) for piece, place in words if piece.startswith(mark)]
    families = [
        [(text, place) for text, place in family if text and reachable(text)] for family in (words, endings)
    ]
    counts = Counter(character for family in families for text, _ in family for character in text)
    symbols = {character: FIRST_SYMBOL + place for place, (character, _) in enumerate(counts.most_common())}
    spelled = [[([symbols[c] for c in text], place) for text, place in family] for family in families]
    return symbols, spelled

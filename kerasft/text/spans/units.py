"""The units of a text that a model labels (words or characters), and their positions in the original text."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from kerasft.files import compute_fingerprint
from kerasft.text.ops import compile_method, find_places, find_rows, split_places
from kerasft.text.spans.windows import FRAME, check_windows
from kerasft.text.tokenizers.vocabulary import WordPieceVocabulary
from kerasft.text.tokenizers.wordpiece import WordPiece

REMOVED_SPACES = (0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x1F, 0x85)
"""White space that BERT's tokenizer removes, as control characters, instead of parting words at it."""


class Units(NamedTuple):
    """The units of a batch of texts. All are int32 (batch, ragged); ends are exclusive.

    Attributes:
        token_ids: all pieces of a text, without special tokens.
        first_pieces: the place of each unit's first piece among the text's pieces; the first unit's is 0, and a
            unit's pieces reach to the next one's first.
        start, end: each unit's characters (code points) in the text.
        start_byte, end_byte: its bytes in the text's UTF-8.
    """

    token_ids: tf.RaggedTensor
    first_pieces: tf.RaggedTensor
    start: tf.RaggedTensor
    end: tf.RaggedTensor
    start_byte: tf.RaggedTensor
    end_byte: tf.RaggedTensor


class UnitWindows(NamedTuple):
    """A batch of texts as windows, and where among them each unit's scores stand.

    Attributes:
        inputs: token_ids, segment_ids and padding_mask, each int32 (windows, longest): the windows of all texts, in
            the order of the texts.
        windows: int32 (batch, ragged), for each unit the row of `inputs` that speaks for it.
        positions: int32 (batch, ragged), the column in which its first piece stands.
        units: the units.
    """

    inputs: dict[str, tf.Tensor]
    windows: tf.RaggedTensor
    positions: tf.RaggedTensor
    units: Units


class UnitTokenizer(WordPiece):
    """A WordPiece tokenizer that tells the units of a text and where they stand.

    A unit is one of the tokenizer's words: a run of letters, digits and symbols, a punctuation mark, an ideograph.
    With `split_characters` every character that is not removed is a unit, and pieces never join characters.

    A unit reaches from the first to the last character that its pieces came from, and on over the characters after
    it that the tokenizer removes, white space excepted: accents written as marks of their own, joiners, variation
    selectors. Units are in order, are not empty and do not overlap. A word that is too long or unknown is a unit of
    one piece.

    Bytes that are not UTF-8 count as one character for each ill-formed sequence, as Python's
    `decode("utf-8", "replace")` counts them, and with as many bytes as they have.

    Args:
        vocabulary: the pieces and the rules of normalising.
        split_characters: whether every character is a unit.
    """

    def __init__(
        self,
        vocabulary: WordPieceVocabulary,
        *,
        split_characters: bool = False,
        name: str = "unit_tokenizer",
    ):
        super().__init__(vocabulary, split_characters=split_characters, name=name)
        self.split_characters = split_characters
        removed = np.zeros(max(REMOVED_SPACES) + 2, bool)
        removed[list(REMOVED_SPACES)] = True
        with tf.device("CPU:0"):
            self._is_removed_space = tf.constant(removed)
        self._find_units_in_graph = compile_method(self._find_units)
        self._encode_windows_in_graph = compile_method(self._encode_windows)

    @property
    def fingerprint(self) -> str:
        """Changes when any text's ids or units could."""
        return compute_fingerprint([super().fingerprint, self.split_characters])

    def find_units(self, texts: tf.Tensor) -> Units:
        """The units of whole texts.

        Args:
            texts: string (batch,), UTF-8.
        """
        return self._find_units_in_graph(tf.convert_to_tensor(texts, tf.string))

    def encode_windows(self, texts: tf.Tensor, max_length: int, overlap: int | None = None) -> UnitWindows:
        """Texts as a model takes them, long ones in the windows that `kerasft.text.spans.windows.cut_windows` cuts.

        Args:
            texts: string (batch,), UTF-8.
            max_length: tokens a window may have, special ones included; at least 3.
            overlap: pieces that a window shares with the next one, at most; a quarter of `max_length` where None.

        Raises:
            ValueError: `max_length` or `overlap` is out of range.
        """
        overlap = check_windows(max_length, overlap)
        return self._encode_windows_in_graph(
            tf.convert_to_tensor(texts, tf.string), tf.constant(max_length - FRAME), tf.constant(overlap)
        )

    def _find_units(self, texts: tf.Tensor) -> Units:
        with tf.device("CPU:0"):
            decoded, offsets = tf.strings.unicode_decode_with_offsets(
                tf.strings.join([texts, " "]), "UTF-8", errors="replace"
            )
            code_points = decoded.flat_values
            symbols, spelled = self._spell(code_points, tf.range(tf.size(code_points) + 1))
            text_characters = tf.cast(decoded.row_splits, tf.int32)
            text_symbols = tf.gather(spelled, text_characters)
            starts, ends = self._find_words(symbols)
            ids = self._match(symbols, starts, ends)
            places = find_places(ids >= 0)
            text_pieces, text_units = split_places(places, text_symbols), split_places(starts, text_symbols)
            of_text = find_rows(tf.range(tf.size(starts)), text_units)
            first, end = self._find_characters(code_points, spelled, starts, ends)
            before = tf.gather(text_characters, of_text)
            columns = (
                split_places(places, starts) - tf.gather(text_pieces, of_text),
                first - before,
                end - before,
                tf.cast(tf.gather(offsets.flat_values, first), tf.int32),
                tf.cast(tf.gather(offsets.flat_values, end), tf.int32),
            )
            return Units(
                _join_rows(tf.gather(ids, places), text_pieces),
                *(_join_rows(column, text_units) for column in columns),
            )

    def _find_characters(self, code_points, spelled, starts, ends) -> tuple[tf.Tensor, tf.Tensor]:
        """Each word's first character in the batch and the one after its last; `spelled` is where symbols begin."""
        first, last = find_rows(starts, spelled), find_rows(ends - 1, spelled)
        # A word ends before the next character that has symbols (there is one: a space follows each text) …
        end = find_rows(tf.gather(spelled, last + 1), spelled)
        # … or before white space that has none.
        is_space = tf.gather(
            self._is_removed_space, tf.minimum(code_points, tf.size(self._is_removed_space) - 1)
        )
        spaces = tf.concat([tf.cast(find_places(is_space), tf.int32), [tf.size(code_points)]], 0)
        return first, tf.minimum(end, tf.gather(spaces, tf.searchsorted(spaces, last, side="right")))

    def _encode_windows(self, texts: tf.Tensor, room: tf.Tensor, overlap: tf.Tensor) -> UnitWindows:
        units = self._find_units(texts)
        with tf.device("CPU:0"):
            text_units, text_pieces = units.first_pieces.row_splits, units.token_ids.row_splits
            of_text = find_rows(tf.range(tf.size(units.first_pieces.flat_values)), text_units)
            bounds = units.first_pieces.flat_values + tf.gather(text_pieces, of_text)
            bounds = tf.concat([bounds, text_pieces[-1:]], 0)
            lengths = tf.minimum(bounds[1:] - bounds[:-1], room)
            # Where units begin if only the pieces that a window can hold are counted.
            places = tf.concat([[0], tf.cumsum(lengths)], 0)
            first, end = _cut(places, text_units, room, overlap)
            inputs = self._frame(
                units.token_ids.flat_values,
                tf.gather(bounds, first),
                tf.gather(places, end) - tf.gather(places, first),
            )
            # A unit has more context in the later of two windows if its middle lies behind the middle of what they
            # share; between the last window of a text and the first of the next that is where the text ends.
            shared = tf.gather(places, end[:-1]) + tf.gather(places, first[1:])
            windows = tf.searchsorted(shared, places[:-1] + places[1:])
            positions = 1 + bounds[:-1] - tf.gather(bounds, tf.gather(first, windows))
            return UnitWindows(
                inputs, _join_rows(windows, text_units), _join_rows(positions, text_units), units
            )


def _cut(places, text_units, room, overlap) -> tuple[tf.Tensor, tf.Tensor]:
    """The first units of all windows and those after their last, in order; `places` is where units begin."""
    units = tf.size(places) - 1
    of_text = find_rows(tf.range(units), text_units)

    def find_end(first):
        return tf.searchsorted(places, tf.gather(places, first) + room, side="right") - 1

    # Which window would follow one that begins at a unit, for every unit; `units` where that is its text's last.
    last_place = tf.gather(places, tf.gather(text_units, of_text + 1))
    end = tf.minimum(find_end(tf.range(units)), units - 1)
    earliest = tf.maximum(tf.gather(places, end) - overlap, tf.gather(places, end + 1) - room)
    following = tf.searchsorted(places, tf.minimum(earliest, last_place - room))
    following = tf.concat([tf.where(last_place - places[:-1] > room, following, units), [units]], 0)
    follow = _follow(following, tf.gather(following, text_units[:-1]), units, text_units)
    first = tf.concat([text_units[:-1], follow], 0)
    last = tf.concat([text_units[1:], tf.gather(text_units, find_rows(follow, text_units) + 1)], 0)
    order = tf.argsort(first + last, stable=True)
    first, last = tf.gather(first, order), tf.gather(last, order)
    return first, tf.minimum(find_end(first), last)


def _follow(following, second, units, text_units) -> tf.Tensor:
    """All windows' first units but those of each text's first window, in any order.

    Each round doubles how far a step leads, and with it how many are found: the rounds grow with the logarithm of the
    longest text's windows.
    """
    # The second window of an empty text would be that of the text after it.
    second = tf.boolean_mask(second, (text_units[1:] > text_units[:-1]) & (second < units))

    def advance(found, step, _):
        more = tf.gather(step, found)
        more = tf.gather(more, find_places(more < units))
        return tf.concat([found, more], 0), tf.gather(step, step), tf.size(more)

    shapes = (tf.TensorShape([None]), tf.TensorShape([None]), tf.TensorShape([]))
    return tf.while_loop(
        lambda _found, _step, more: more > 0,
        advance,
        (second, following, tf.size(second)),
        shape_invariants=shapes,
    )[0]


def _join_rows(values: tf.Tensor, splits: tf.Tensor) -> tf.RaggedTensor:
    return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

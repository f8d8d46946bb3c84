"""Splits text into words by the patterns of byte-level BPE, in core TensorFlow ops.

A regular expression is applied from left to right, and so is a state machine. But where a word of these patterns starts
can be told from the few code points around that place, or from where runs of one kind begin and end. So all code points
of a batch are looked at together, each in the same few vector operations.
"""

from __future__ import annotations

import tensorflow as tf

from kerasft.text.ops import find_last, find_next, gather_or, put, shift
from kerasft.text.tokenizers.paging import build_pages, look_up
from kerasft.text.tokenizers.patterns import Kind, Pattern, list_kinds

_APOSTROPHE, _BLANK, _LINE_FEED, _CARRIAGE_RETURN = map(ord, "' \n\r")
_LONG_S = 0x17F
"""`tokenizers` finds it equal to an s where it ignores case."""


class PatternSplitter(tf.Module):
    """Where the words of texts start.

    Args:
        pattern: one of `PATTERNS`.
    """

    def __init__(self, pattern: Pattern, name: str = "pattern_splitter"):
        super().__init__(name=name)
        self._pattern = pattern
        pages, kinds = build_pages(list_kinds(pattern.isolates_digits))
        with tf.device("CPU:0"):
            self._pages = tf.constant(pages, tf.int32)
            self._kinds = tf.constant(kinds, tf.uint8)

    def split(self, code_points: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
        """bool (any,), whether a word starts at a code point.

        Args:
            code_points: int32 (any,), of all texts, each with one more code point at its end, which stands for none.
            ends: int (texts,), the places of those, whatever stands there; words start there too.
        """
        code_points = put(code_points, ends, 0)
        kinds = self._find_kinds(code_points, ends)
        before = shift(kinds, 1, Kind.END)
        joined = shift(code_points == _BLANK, 1, False) & (kinds != Kind.SPACE)
        if self._pattern.isolates_digits:
            joined &= kinds != Kind.NUMBER
        starts = ((kinds != before) & ~joined) | (kinds == Kind.END)
        if self._pattern.groups_digits:
            starts |= self._start_groups(kinds)
        if self._pattern.joins_any:
            starts &= ~self._find_joined_letters(code_points, kinds, before)
            starts = tf.where(kinds == Kind.SPACE, self._start_spaces(code_points, kinds), starts)
        else:
            starts |= (kinds == Kind.SPACE) & self._is_split_off(shift(kinds, -1, Kind.END))
        return self._start_contractions(starts, code_points, kinds, before)

    def _find_kinds(self, code_points: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
        kinds = tf.cast(look_up(self._pages, self._kinds, code_points), tf.int32)
        return put(kinds, ends, tf.constant(Kind.END, tf.int32))

    def _is_split_off(self, following: tf.Tensor) -> tf.Tensor:
        """Of white space before a code point of these kinds the last one is no part of the word before."""
        split = (following != Kind.SPACE) & (following != Kind.END)
        return split & (following != Kind.NUMBER) if self._pattern.isolates_digits else split

    def _start_groups(self, kinds: tf.Tensor) -> tf.Tensor:
        """Where groups of digits start within a number."""
        place = tf.range(tf.size(kinds))
        inside = kinds == Kind.NUMBER
        since = place - find_last(~inside) - 1
        return inside & (since % self._pattern.groups_digits == 0)

    def _find_joined_letters(self, code_points, kinds, before) -> tf.Tensor:
        """Letters that stand in one word with the character before them: white space, or a single other one."""
        line_break = (code_points == _LINE_FEED) | (code_points == _CARRIAGE_RETURN)
        space = (before == Kind.SPACE) & ~shift(line_break, 1, False)
        # A character that a space before has taken into its word, or that follows another such, does not join.
        taken = (shift(kinds, 2, Kind.END) == Kind.OTHER) | shift(code_points == _BLANK, 2, False)
        return (kinds == Kind.LETTER) & (space | ((before == Kind.OTHER) & ~taken))

    def _start_spaces(self, code_points: tf.Tensor, kinds: tf.Tensor) -> tf.Tensor:
        """Where words start in white space if line breaks matter; anything elsewhere."""
        line_break = (code_points == _LINE_FEED) | (code_points == _CARRIAGE_RETURN)
        space = kinds == Kind.SPACE
        # Line breaks right after what is neither letter, number nor white space belong to that.
        attached = line_break & (gather_or(kinds, find_last(~line_break), Kind.END) == Kind.OTHER)
        breaks_follow = find_next(line_break) < find_next(~space)
        first = ~shift(space, 1, False) | shift(attached, 1, False)
        after_breaks = shift(line_break, 1, False) & ~breaks_follow
        last = ~breaks_follow & self._is_split_off(shift(kinds, -1, Kind.END))
        return ~attached & (first | after_breaks | last)

    def _start_contractions(self, starts, code_points, kinds, before) -> tf.Tensor:
        """Puts the words of apostrophes and the letters after them in the place of those found."""
        letters = code_points
        if self._pattern.ignores_case:
            capital = (code_points >= ord("A")) & (code_points <= ord("Z"))
            letters = tf.where(capital, code_points + 32, code_points)
            letters = tf.where(code_points == _LONG_S, ord("s"), letters)
        after = [shift(letters, -1, 0), shift(letters, -2, 0)]
        # Within a word, or after the space that takes it in, an apostrophe is like any other such character.
        own = (code_points == _APOSTROPHE) & (before != Kind.OTHER)
        own &= ~shift(code_points == _BLANK, 1, False)
        for length in (1, 2):
            found = tf.zeros_like(own)
            for ending in self._pattern.contractions:
                if len(ending) == length:
                    spelled = [
                        letter == ord(character)
                        for letter, character in zip(after[:length], ending, strict=True)
                    ]
                    found |= own & tf.reduce_all(tf.stack(spelled), axis=0)
            for place in range(1, length + 1):
                starts &= ~shift(found, place, False)
            starts |= shift(found, length + 1, False)
        return starts

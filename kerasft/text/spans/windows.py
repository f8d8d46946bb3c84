"""Overlapping windows over a text that is too long for the model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

FRAME = 2
"""Tokens of a window that are no pieces: cls and separator."""


class Windows(NamedTuple):
    """The windows of one text, in its order. Ends are exclusive.

    Attributes:
        first_units, end_units: int32 (windows,), which units stand in a window.
        first_pieces, end_pieces: int32 (windows,), which of the text's pieces do.
        unit_windows: int32 (units,), the window that speaks for a unit: the one in which it has the most context.
    """

    first_units: np.ndarray
    end_units: np.ndarray
    first_pieces: np.ndarray
    end_pieces: np.ndarray
    unit_windows: np.ndarray


def choose_overlap(max_length: int) -> int:
    """How many pieces two windows share unless told otherwise: a quarter of `max_length`.

    A unit then has at least about an eighth of `max_length` of the text on either side, and a long text costs about
    a third more than without an overlap.
    """
    return max_length // 4


def check_windows(max_length: int, overlap: int | None) -> int:
    """The overlap, chosen where it is None.

    Raises:
        ValueError: `max_length` has no room for a piece, or `overlap` is not below the room.
    """
    if max_length <= FRAME:
        raise ValueError(
            f"max_length must be at least {FRAME + 1} (cls, a piece, separator), not {max_length}."
        )
    overlap = choose_overlap(max_length) if overlap is None else overlap
    if not 0 <= overlap < max_length - FRAME:
        raise ValueError(f"overlap must be in [0, {max_length - FRAME}), not {overlap}.")
    return overlap


def cut_windows(
    first_pieces: np.ndarray, num_pieces: int, max_length: int, overlap: int | None = None
) -> Windows:
    """Cuts a text into windows of at most `max_length` tokens, cls and separator included; a pure function.

    A window takes whole units, as many as fit. The next one goes back over at most `overlap` pieces, and less where
    the first new unit would not fit otherwise. The last one goes back as far as it has room. A unit that is longer
    than a window has one to itself, and its last pieces are left out. A text without units has one empty window.

    Where units stand in several windows, each is spoken for by the one in which fewer pieces are missing of what it
    sees of the text on its narrower side; the ends of the text itself count as far away. Of equals it is the first.

    Args:
        first_pieces: int (units,), the place of each unit's first piece among the text's pieces; the first is 0.
        num_pieces: how many pieces the text has.
        max_length: tokens a window may have; at least 3.
        overlap: pieces that a window shares with the next one, at most; a quarter of `max_length` where None.

    Raises:
        ValueError: `max_length` or `overlap` is out of range.
    """
    overlap, room = check_windows(max_length, overlap), max_length - FRAME
    bounds = np.append(first_pieces, num_pieces).astype(np.int64)
    # Where units begin if only the pieces that a window can hold are counted.
    places = np.zeros(len(bounds), np.int64)
    np.cumsum(np.minimum(np.diff(bounds), room), out=places[1:])
    last, total = len(places) - 1, places[-1]
    firsts, ends = [0], [last]
    while total - places[firsts[-1]] > room:
        end = int(np.searchsorted(places, places[firsts[-1]] + room, side="right")) - 1
        ends[-1:] = [end, last]
        earliest = max(places[end] - overlap, places[end + 1] - room)
        firsts.append(int(np.searchsorted(places, min(earliest, total - room))))
    first_units, end_units = np.array(firsts), np.array(ends)
    # A unit has more context in the later of two windows if its middle lies behind the middle of what they share.
    shared = places[end_units[:-1]] + places[first_units[1:]]
    columns = (
        first_units,
        end_units,
        bounds[first_units],
        bounds[first_units] + places[end_units] - places[first_units],
        np.searchsorted(shared, places[:-1] + places[1:]),
    )
    return Windows(*(np.asarray(column, np.int32) for column in columns))

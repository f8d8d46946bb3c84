"""Packs pieces of texts into rows of one length, so that hardly a place is padding."""

from __future__ import annotations

from bisect import bisect_left, insort

import numpy as np


def pack_best_fit(lengths: np.ndarray, capacity: int) -> list[np.ndarray]:
    """Which pieces stand together in a row: best fit, the longest pieces first.

    Each piece goes into the row with the least room that is enough for it, and into a new row where there is none. A
    full row is closed. Pieces of one length come in their order, so that the result follows from the lengths alone.

    Args:
        lengths: int (pieces,), tokens of each, 1 to `capacity`.
        capacity: tokens of a row.

    Returns:
        int64 arrays of pieces' numbers, a row each; a row's pieces are in the order in which they were put there.

    Raises:
        ValueError: a piece is empty, or longer than a row.

    Source: Johnson et al. 1974, SIAM J. Comput. 3(4):299–325: at most 11/9 of the fewest rows possible, and two more.
    """
    lengths = np.asarray(lengths, np.int64)
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= capacity):
        raise ValueError(f"pieces must have 1 to {capacity} tokens, found {lengths.min()} to {lengths.max()}")
    rows = [np.array([piece]) for piece in np.flatnonzero(lengths == capacity).tolist()]
    order = np.argsort(-lengths, kind="stable")
    open_rows: list[list[int]] = []
    rooms: list[int] = []
    """The different rooms of open rows, ascending."""
    by_room: dict[int, list[int]] = {}
    for piece in order[len(rows) :].tolist():
        length = int(lengths[piece])
        place = bisect_left(rooms, length)
        if place == len(rooms):
            row, room = len(open_rows), capacity
            open_rows.append([])
        else:
            room = rooms[place]
            row = by_room[room].pop()
            if not by_room[room]:
                del by_room[room], rooms[place]
        open_rows[row].append(piece)
        left = room - length
        if left:
            if left not in by_room:
                by_room[left] = []
                insort(rooms, left)
            by_room[left].append(row)
    return rows + [np.array(row) for row in open_rows]

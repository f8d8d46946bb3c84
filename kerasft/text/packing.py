"""Packs pieces of texts into rows of one length, so that hardly a place is padding."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class PackedRows:
    """Which pieces stand together in a row, and in which order; `rows[i]` are those of row i, `len(rows)` counts rows.

    Attributes:
        pieces: int32 (pieces,), their numbers, row after row; int64 where there are 2³¹ or more.
        splits: int64 (rows + 1,): row i holds `pieces[splits[i]:splits[i + 1]]`.
    """

    pieces: np.ndarray
    splits: np.ndarray

    def __len__(self) -> int:
        return len(self.splits) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        if not 0 <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self.pieces[self.splits[row] : self.splits[row + 1]]

    def add_up(self, lengths: np.ndarray) -> np.ndarray:
        """int64 (rows,): the sum over each row's pieces of `lengths`, int (pieces,)."""
        return np.diff(np.concatenate(([0], np.cumsum(lengths[self.pieces], dtype=np.int64)))[self.splits])


def pack_best_fit(lengths: np.ndarray, capacity: int) -> PackedRows:
    """Which pieces stand together in a row: best fit, the longest pieces first.

    Each piece goes into the row with the least room that is enough for it, and into a new row where there is none. A
    full row is closed. Pieces of one length come in their order, so that the result follows from the lengths alone.

    Args:
        lengths: int (pieces,), tokens of each, 1 to `capacity`.
        capacity: tokens of a row.

    Returns:
        The rows, in the order in which they were begun; a row's pieces are in the order in which they were put there.

    Raises:
        ValueError: a piece is empty, or longer than a row.

    Source: Johnson et al. 1974, SIAM J. Comput. 3(4):299–325: at most 11/9 of the fewest rows possible, and four more.
    """
    lengths = np.asarray(lengths)
    if len(lengths) and not (lengths.min() >= 1 and lengths.max() <= capacity):
        raise ValueError(f"pieces must have 1 to {capacity} tokens, found {lengths.min()} to {lengths.max()}")
    number_type = np.int32 if len(lengths) < 1 << 31 else np.int64
    order = np.argsort(-lengths.astype(np.int64), kind="stable").astype(number_type)
    rows = np.empty(len(lengths), number_type)
    """Of each piece, the longest first."""
    distinct, counts = np.unique(lengths, return_counts=True)
    count = start = 0
    rooms: list[int] = []
    """The different rooms of open rows, ascending."""
    by_room: dict[int, list[int]] = {}
    for length, times in zip(distinct[::-1].tolist(), counts[::-1].tolist(), strict=True):
        for piece in range(start, start + times):
            place = bisect_left(rooms, length)
            if place == len(rooms):
                row, room = count, capacity
                count += 1
            else:
                room = rooms[place]
                row = by_room[room].pop()
                if not by_room[room]:
                    del by_room[room], rooms[place]
            rows[piece] = row
            left = room - length
            if left:
                if left not in by_room:
                    by_room[left] = []
                    insort(rooms, left)
                by_room[left].append(row)
        start += times
    splits = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=count))))
    return PackedRows(order[np.argsort(rows, kind="stable")], splits)

"""Puts what a model says of a text's windows together: the text's predicted tokens, in order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kerasft.tasks.token_losses import UNTAGGED

TARGETS = "targets"
Windows = Mapping[int, Mapping[str, np.ndarray]]
"""Number of a window → what was kept of each of its predicted tokens, `{name: (tokens, …)}`."""


def join_windows(
    batches: Iterable[tuple[np.ndarray, Mapping[str, np.ndarray]]],
    firsts: np.ndarray,
    find_example: Callable[[int], int],
    put_together: Callable[[int, Windows], dict[str, Any]],
) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    """The examples of each batch whose last window has come with it; see `Feed.join`.

    Args:
        batches: as `Feed.join` is given them; `targets` are `UNTAGGED` where nothing is predicted.
        firsts: int (examples + 1,), the first window of each example, and the number of all windows.
        find_example: window → its example.
        put_together: (example, its windows) → its output.
    """
    waiting = defaultdict[int, dict[int, dict[str, np.ndarray]]](dict)
    for rows, kept in batches:
        found = []
        for place, row in enumerate(rows.tolist()):
            example = find_example(row)
            is_predicted = kept[TARGETS][place] != UNTAGGED
            waiting[example][row] = {name: values[place][is_predicted] for name, values in kept.items()}
            if len(waiting[example]) == firsts[example + 1] - firsts[example]:
                found.append((example, put_together(example, waiting.pop(example))))
        yield found


def concatenate_windows(windows: Windows) -> dict[str, np.ndarray]:
    """What was kept of all windows of an example, in their order."""
    rows = sorted(windows)
    return {name: np.concatenate([windows[row][name] for row in rows]) for name in windows[rows[0]]}

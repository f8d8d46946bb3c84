"""Drops duplicates inside train: of examples that are the same or nearly the same, the first one stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kerasft.data.duplicates.exact import DROPPED, group_by_key
from kerasft.data.duplicates.near import NearPairs, connect
from kerasft.printable import format_json

DUPLICATES = "duplicates.jsonl"


def drop_duplicates(
    path: Path,
    groups: np.ndarray,
    pairs: NearPairs,
    splits: np.ndarray,
    locate: Callable[[int], str],
) -> dict[str, Any]:
    """Marks rows of train as dropped in `splits`, and lists them.

    Args:
        path: the list, JSON lines.
        groups: uint32 (rows,), the first row with the same text.
        pairs: near duplicates among first rows.
        splits: uint8 (rows,), each row's split; train is 0. Changed.
        locate: row → where it stands.

    Returns:
        What the manifest says of it: how many rows were dropped as exact and as near duplicates.
    """
    train = np.flatnonzero(splits == 0)
    present = np.zeros(len(groups), bool)
    present[groups[train]] = True
    inside = present[pairs.first] & present[pairs.second]
    clusters = connect(groups, NearPairs(*(column[inside] for column in pairs)))[train]
    kept = train[group_by_key(clusters)]
    same = train[group_by_key(groups[train])]
    dropped = kept != train
    exact = dropped & (same != train)
    with open(path, "w", encoding="utf-8") as file:
        places = np.flatnonzero(dropped)
        for row, first, is_exact in zip(
            train[places].tolist(),
            kept[places].tolist(),
            (groups[train] == groups[kept])[places].tolist(),
            strict=True,
        ):
            line = {"row": locate(row), "kept": locate(first), "same": "exactly" if is_exact else "nearly"}
            file.write(format_json(line) + "\n")
    splits[train[dropped]] = DROPPED
    return {"dropped_exact": int(exact.sum()), "dropped_near": int((dropped & ~exact).sum())}

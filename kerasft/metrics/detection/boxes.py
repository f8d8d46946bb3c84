"""The boxes of one picture: those that are true, and those that a model found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class GoldBoxes(NamedTuple):
    """What is true of a picture: its boxes; there may be none. `make_gold_boxes` makes it of lists."""

    boxes: np.ndarray
    """float32 (n, 4): left, top, right, bottom, in pixels from the picture's upper left corner."""
    labels: np.ndarray
    """int32 (n,): the number of each box's class, from 0."""
    crowd: np.ndarray
    """bool (n,): whether a box is around many objects that are not told apart (COCO's `iscrowd`)."""
    areas: np.ndarray
    """float32 (n,): square pixels; COCO's `area`, that of the object's outline, or else width × height."""


class Detections(NamedTuple):
    """What a model found in a picture, the surest first; there may be none."""

    boxes: np.ndarray
    """float32 (k, 4): left, top, right, bottom, in pixels from the picture's upper left corner."""
    scores: np.ndarray
    """float32 (k,), from 0 to 1, descending."""
    labels: np.ndarray
    """int32 (k,): the number of each box's class, from 0."""


def make_gold_boxes(
    boxes: Sequence[Sequence[float]] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
    crowd: Sequence[bool] | np.ndarray | None = None,
    areas: Sequence[float | None] | np.ndarray | None = None,
) -> GoldBoxes:
    """The gold boxes of a picture, of the right shapes and dtypes also where there are none.

    Args:
        boxes: (n, 4), left, top, right, bottom, pixels.
        labels: (n,), numbers of classes.
        crowd: (n,); none is a crowd where this is not given.
        areas: (n,), square pixels; None, for one box or for all, stands for width × height.

    Raises:
        ValueError: the numbers of boxes, labels, crowds and areas differ.
    """
    sides = np.asarray(boxes, np.float32).reshape(-1, 4)
    own = (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])
    if areas is not None:
        given = np.array([np.nan if area is None else area for area in areas], np.float32)
        own = np.where(np.isnan(given), own, given) if given.shape == own.shape else given
    crowds = np.zeros(len(sides), bool) if crowd is None else np.asarray(crowd, bool).reshape(-1)
    numbers = np.asarray(labels, np.int32).reshape(-1)
    if not len(sides) == len(numbers) == len(crowds) == len(own):
        raise ValueError(
            f"expected as many labels, crowds and areas as boxes ({len(sides)}), "
            f"got {len(numbers)}, {len(crowds)} and {len(own)}"
        )
    return GoldBoxes(sides, numbers, crowds, own.astype(np.float32))


def make_detections(
    boxes: Sequence[Sequence[float]] | np.ndarray,
    scores: Sequence[float] | np.ndarray,
    labels: Sequence[int] | np.ndarray,
) -> Detections:
    """The detections of a picture in any order, put in descending order of their scores; equal ones keep theirs.

    Args:
        boxes: (k, 4), left, top, right, bottom, pixels.
        scores: (k,).
        labels: (k,), numbers of classes.

    Raises:
        ValueError: the numbers of boxes, scores and labels differ, or a score is no number.
    """
    sides = np.asarray(boxes, np.float32).reshape(-1, 4)
    sure = np.asarray(scores, np.float32).reshape(-1)
    numbers = np.asarray(labels, np.int32).reshape(-1)
    if not len(sides) == len(sure) == len(numbers):
        raise ValueError(
            f"expected as many scores and labels as boxes ({len(sides)}), got {len(sure)} and {len(numbers)}"
        )
    if np.isnan(sure).any():
        raise ValueError("a detection's score is no number (NaN)")
    order = np.argsort(-sure, kind="stable")
    return Detections(sides[order], sure[order], numbers[order])

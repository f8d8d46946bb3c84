"""The boxes of one picture, as a reader of annotation files hands them on: what only such files say is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class PictureBoxes(NamedTuple):
    """A raw value of a field of boxes."""

    boxes: Sequence[Mapping[str, Any]]
    """Each an object as `kinds.boxes.parse_boxes` reads it."""
    size_px: tuple[int, int] | None = None
    """Width and height of the picture that the boxes were drawn on, where the file says it."""
    in_shares: bool = False
    """Whether sides are shares of the picture's width and height, and not pixels."""
    left_out: tuple[str, ...] = ()
    """What the reader itself left out, in words: a shape that is no box, say."""

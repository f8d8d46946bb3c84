"""How much boxes overlap: intersection over union, and over the detection's own area where the gold box is a crowd."""

from __future__ import annotations

import numpy as np


def compute_areas(boxes: np.ndarray) -> np.ndarray:
    """Width × height of boxes (n, 4), float64 (n,), square pixels."""
    sides = np.asarray(boxes, np.float64)
    return (sides[:, 2] - sides[:, 0]) * (sides[:, 3] - sides[:, 1])


def compute_overlaps(found: np.ndarray, gold: np.ndarray, crowd: np.ndarray | None = None) -> np.ndarray:
    """The overlap of each found box with each gold box.

        intersection / union,  or intersection / area of the found box where the gold box is a crowd

    Args:
        found: (k, 4): left, top, right, bottom, pixels.
        gold: (n, 4).
        crowd: bool (n,); none is a crowd where this is not given.

    Returns:
        float64 (k, n), from 0 to 1; 0 where the union has no area.

    Source: pycocotools' `iou` of boxes (Lin et al. 2014, arXiv:1405.0312).
    """
    one, other = np.asarray(found, np.float64)[:, None], np.asarray(gold, np.float64)[None]
    width = np.minimum(one[..., 2], other[..., 2]) - np.maximum(one[..., 0], other[..., 0])
    height = np.minimum(one[..., 3], other[..., 3]) - np.maximum(one[..., 1], other[..., 1])
    shared = np.maximum(width, 0.0) * np.maximum(height, 0.0)
    areas = compute_areas(found)[:, None]
    whole = areas + compute_areas(gold) - shared
    if crowd is not None:
        whole = np.where(crowd, areas, whole)
    return np.divide(shared, whole, out=np.zeros_like(shared), where=(shared > 0.0) & (whole > 0.0))

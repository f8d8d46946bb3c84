"""Wrong answers, the most confident first."""

from __future__ import annotations

import numpy as np


def find_mistakes(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The examples that are taken for another label, by how sure that answer is.

    Args:
        probabilities: float (examples, classes).
        labels: int (examples,), ids in [0, classes).

    Returns:
        int64 (mistakes,): numbers of examples, the most probable wrong answer first; equally sure ones in order.
    """
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-probabilities[wrong].max(axis=1), kind="stable")]

"""Which answers are wrong, the surest first."""

from __future__ import annotations

import numpy as np

from kerasft.metrics.mistakes import find_mistakes


def test_mistakes_are_wrong_answers_by_how_sure_they_are() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.01, 0.99], [0.4, 0.6], [0.4, 0.6]])
    assert find_mistakes(probabilities, np.array([0, 0, 0, 1, 0])).tolist() == [2, 1, 4]


def test_equally_sure_mistakes_stay_in_order() -> None:
    assert find_mistakes(np.full((4, 2), [0.3, 0.7]), np.zeros(4, int)).tolist() == [0, 1, 2, 3]


def test_where_all_is_right_there_are_none() -> None:
    assert find_mistakes(np.eye(3), np.arange(3)).tolist() == []

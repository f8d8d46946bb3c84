"""What stands under the pictures of a contact sheet."""

from __future__ import annotations

import numpy as np
import pytest

from kerasft.tasks.image_classification.sheets import _name_labels

NAMES = ("roses", "tulips", "daisies")


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ([0.0, 1.0, 0.0], "tulips"),
        ([0.3, 0.7, 0.0], "tulips 70\u202f%\nroses 30\u202f%"),
        ([1.0, 0.0, 1.0], "roses\ndaisies"),
        ([0.0, 0.0, 0.0], "–"),
    ],
    ids=["one label", "two pictures mixed", "two labels", "no label"],
)
def test_shares_are_told_of_mixed_pictures_alone(shares, expected):
    assert _name_labels(np.float32(shares), NAMES) == expected

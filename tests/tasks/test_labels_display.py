"""What records say of labels, whether an example has one or any number of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kerasft.tasks.labels_display import LabelsDisplay
from kerasft.tasks.multi_label_display import MultiLabelDisplay
from kerasft.tasks.single_label_display import SingleLabelDisplay

NAMES = ("bad", "good")


def make_record(key: str, value: Any) -> dict[str, Any]:
    return {"origin": "a.csv:1", key: value, "text": "a film", "probabilities": {"good": 0.75, "bad": 0.25}}


@pytest.mark.parametrize(
    ("display", "key", "values", "labels"),
    [
        (SingleLabelDisplay(None, NAMES), "label", ["good", "bad"], np.array([1, 0])),
        (
            MultiLabelDisplay(None, NAMES),
            "labels",
            [["good", "bad"], [], ["good"]],
            np.array([[True, True], [False, False], [False, True]]),
        ),
        (MultiLabelDisplay(None, NAMES), "labels", [[]], np.array([[False, False]])),
    ],
)
def test_records_are_read_by_the_order_of_the_labels(
    display: LabelsDisplay, key: str, values: list[Any], labels: np.ndarray
) -> None:
    found = display.read_records(iter([make_record(key, value) for value in values]))
    np.testing.assert_array_equal(found.labels, labels)
    assert found.labels.dtype == labels.dtype
    np.testing.assert_array_equal(found.probabilities, [[0.25, 0.75]] * len(values))
    assert found.texts == ["a film"] * len(values)
    assert found.origins == ["a.csv:1"] * len(values)


@pytest.mark.parametrize(
    ("display", "key", "value"),
    [
        (SingleLabelDisplay(None, NAMES), "label", "fair"),
        (MultiLabelDisplay(None, NAMES), "labels", ["good", "fair"]),
    ],
)
def test_a_record_with_a_label_of_another_model_is_refused(display: Any, key: str, value: Any) -> None:
    records = [make_record(key, value)]
    with pytest.raises(KeyError, match="fair"):
        display.open_measure(records, 1)

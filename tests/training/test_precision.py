"""The choice of a number format."""

from __future__ import annotations

import pytest

from kerasft.training.precision import MARGIN, _time_matmuls, choose_precision


@pytest.mark.parametrize(
    ("asked", "dtype"),
    [("float32", "float32"), ("mixed_bfloat16", "bfloat16"), ("mixed_float16", "float16")],
)
def test_what_is_asked_for_is_taken(asked: str, dtype: str) -> None:
    precision = choose_precision(asked)
    assert (precision.policy, precision.matmul_dtype) == (asked, dtype)
    assert "asked for" in precision.reason


def test_auto_takes_what_was_measured_faster_and_says_so() -> None:
    precision = choose_precision("auto")
    rates = _time_matmuls()
    assert min(rates.values()) > 0
    expected = "mixed_bfloat16" if rates["bfloat16"] >= MARGIN * rates["float32"] else "float32"
    assert precision.policy == expected
    assert precision.policy in precision.reason
    assert f"{rates['bfloat16'] / rates['float32']:.2f}" in precision.reason
    assert choose_precision("auto") == precision  # measured once a process

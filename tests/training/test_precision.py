"""The choice of a number format."""

from __future__ import annotations

import pytest
from tolerances import needs_bfloat16

from kerasft.errors import ConfigError
from kerasft.models.number_formats import adds_bfloat16_in_float32
from kerasft.training.precision import MARGIN, _time_matmuls, choose_precision

pytestmark = pytest.mark.numerical


@pytest.mark.parametrize(
    ("asked", "dtype"),
    [
        ("float32", "float32"),
        pytest.param("mixed_bfloat16", "bfloat16", marks=needs_bfloat16),
        ("mixed_float16", "float16"),
    ],
)
def test_what_is_asked_for_is_taken(asked: str, dtype: str) -> None:
    precision = choose_precision(asked)
    assert (precision.policy, precision.matmul_dtype) == (asked, dtype)
    assert "as configured" in precision.reason
    inexact = dtype == "bfloat16" and not adds_bfloat16_in_float32()
    assert ("and more exact" in precision.reason) == inexact


@needs_bfloat16
def test_auto_takes_what_was_measured_faster_and_says_so() -> None:
    precision = choose_precision("auto")
    rates = _time_matmuls()
    assert min(rates.values()) > 0
    expected = "mixed_bfloat16" if rates["bfloat16"] >= MARGIN * rates["float32"] else "float32"
    assert precision.policy == expected
    assert precision.policy in precision.reason
    assert f"{rates['bfloat16'] / rates['float32']:.2f}" in precision.reason
    assert choose_precision("auto") == precision  # measured once a process


def test_where_no_kernels_are_left_auto_takes_float32_and_bfloat16_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To try it would end the process."""
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    precision = choose_precision("auto")
    assert (precision.policy, precision.matmul_dtype) == ("float32", "float32")
    assert "ONEDNN_MAX_CPU_ISA=AVX2" in precision.reason
    with pytest.raises(ConfigError, match=r"train\.precision: (.|\n)*ONEDNN_MAX_CPU_ISA=AVX2(.|\n)*Unset"):
        choose_precision("mixed_bfloat16")
    assert choose_precision("float32").policy == "float32"

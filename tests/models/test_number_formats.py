"""What an environment leaves of bfloat16."""

from __future__ import annotations

import pytest

from kerasft.models.number_formats import find_bfloat16_limit


@pytest.mark.parametrize(
    ("environment", "limit"),
    [
        ({}, None),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "ONEDNN_MAX_CPU_ISA=AVX2"),
        ({"ONEDNN_MAX_CPU_ISA": "avx2", "TF_ENABLE_ONEDNN_OPTS": "1"}, "ONEDNN_MAX_CPU_ISA=avx2"),
        ({"DNNL_MAX_CPU_ISA": "SSE41"}, "DNNL_MAX_CPU_ISA=SSE41"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2", "TF_ENABLE_ONEDNN_OPTS": "0"}, None),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"}, None),
        ({"ONEDNN_MAX_CPU_ISA": "DEFAULT"}, None),
    ],
)
def test_a_limit_on_instructions_is_found(
    environment: dict[str, str], limit: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert find_bfloat16_limit() == limit

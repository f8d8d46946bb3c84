"""The sums of documents: figures depend on no order, and a document takes little room."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from kerasft.tasks.language_tally import LanguageTally


def make_output(number: int) -> dict[str, Any]:
    random = np.random.default_rng(number)
    count = int(random.integers(1, 9))
    losses = random.random(count).astype(np.float32)
    return {"log_loss": losses, "right": losses < 0.5, "tokens": count, "bytes": 3 * count}


def collect(numbers: list[int]) -> LanguageTally:
    tally = LanguageTally()
    tally.add(numbers, [make_output(number) for number in numbers], [None] * len(numbers))
    return tally


def test_figures_depend_on_no_order() -> None:
    whole, first, second = (
        collect(list(range(40))),
        collect([30, 2, *range(3, 30)]),
        collect([39, *range(31, 39), 1]),
    )
    second.merge(collect([0]))
    first.merge(second)
    assert len(first) == len(whole) == 40
    options = {"bootstrap_samples": 50, "seed": 3}
    assert first.compute_figures(**options) == whole.compute_figures(**options)
    losses = np.concatenate([make_output(number)["log_loss"] for number in range(40)])
    assert whole.compute_figures()["log_loss"]["value"] == pytest.approx(
        losses.mean(dtype=np.float64), rel=1e-6
    )
    assert LanguageTally().compute_figures()["examples"]["value"] == 0


def test_a_document_takes_48_bytes() -> None:
    tally = collect(list(range(2000)))
    taken = sum(sys.getsizeof(part) for part in (tally._numbers, tally._sums))
    assert taken / 2000 < 1.2 * 48

"""Odd configs, command lines, records and data end with a message and an exit code that says whose fault it is.

300 cases by default; `KERASFT_FUZZ_CASES=10000` makes more, `KERASFT_FUZZ_SEED=1` others.
"""

from __future__ import annotations

import collections
import os
from pathlib import Path

import pytest
from fuzzing import RAW_CONTROLS, Case, Fuzzer, Outcome, run_case
from known_answers import answer_without_a_model

CASES = int(os.environ.get("KERASFT_FUZZ_CASES", "300"))
SEED = int(os.environ.get("KERASFT_FUZZ_SEED", "0"))
CODES = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
_SHOWN = 20


def find_fault(case: Case, outcome: Outcome) -> str | None:
    """What is wrong with how a case ended; None where all is well."""
    if outcome.code not in CODES:
        return f"exit {outcome.code}: {outcome.err[-400:]!r}"
    if (
        "Traceback (most recent call last)" in outcome.out + outcome.err
        and "--traceback" not in case.arguments
    ):
        return f"a traceback: {outcome.err[-400:]!r}"
    if outcome.code and not outcome.err.strip():
        return f"exit {outcome.code} without a word"
    # a table that goes into a pipe is data: what stands in its cells stays
    table = "csv" in case.arguments and case.arguments[0] == "predict"
    for stream in [outcome.err] if table else [outcome.out, outcome.err]:
        if raw := RAW_CONTROLS.search(stream):
            around = stream[max(0, raw.start() - 60) : raw.end() + 20]
            return f"the control character {raw.group()!r} is written: {around!r}"
    return None


def test_nothing_odd_ends_in_a_traceback_or_as_a_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    answer_without_a_model(monkeypatch)
    fuzzer = Fuzzer(SEED)
    codes: collections.Counter[tuple[str, int]] = collections.Counter()
    faults: list[str] = []
    for number in range(CASES):
        case = fuzzer.make(number)
        try:
            outcome = run_case(case, tmp_path / "case")
        except BaseException as error:
            faults.append(
                f"case {number} ({case.kind}) {case.arguments}: raises {type(error).__name__}: {error!s:.300}"
            )
            continue
        codes[case.kind, outcome.code] += 1
        if fault := find_fault(case, outcome):
            faults.append(f"case {number} ({case.kind}) {case.arguments}: {fault}")
    print("\n".join(f"{kind}, exit {code}: {count}" for (kind, code), count in sorted(codes.items())))
    assert not faults, f"{len(faults)} of {CASES}:\n" + "\n".join(ascii(f) for f in faults[:_SHOWN])

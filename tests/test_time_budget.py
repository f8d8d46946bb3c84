"""Tests of the tests' own order and time budget, on a small folder and a clock that the tests there move."""

from __future__ import annotations

import pytest
from time_budget import read_minutes

CONFTEST = """
from time_budget import TimeBudget
import builtins

builtins.now = 0.0

def pytest_configure(config):
    config.addinivalue_line("markers", "slow: …")
    config.pluginmanager.register(TimeBudget({minutes}, clock=lambda: builtins.now))
"""
BODY = """
import builtins
import pytest

def test_fast():
    builtins.now += 10

@pytest.mark.slow
@pytest.mark.parametrize("case", [1, 2, 3])
def test_slow(case):
    builtins.now += 20

@pytest.mark.skip(reason="strace is not installed")
def test_traced():
    pass
"""


def run(pytester: pytest.Pytester, minutes: float | None) -> pytest.RunResult:
    """The same tests in two folders, the more telling of which has the later name: 20 s fast, 120 s slow."""
    pytester.makeconftest(CONFTEST.format(minutes=minutes))
    for folder in ("audio", "contract"):
        pytester.mkdir(folder).joinpath("test_it.py").write_text(BODY, encoding="utf-8")
    return pytester.runpytest_inprocess("-v", "--import-mode=importlib", "-p", "no:cacheprovider")


def list_run(result: pytest.RunResult) -> list[str]:
    return [line.split()[0] for line in result.outlines if " PASSED" in line]


def test_fast_ones_come_first_then_one_case_of_each_slow_one_and_the_telling_folders_lead(pytester) -> None:
    result = run(pytester, None)
    result.assert_outcomes(passed=8, skipped=2)
    assert list_run(result) == [
        "contract/test_it.py::test_fast",
        "audio/test_it.py::test_fast",
        "contract/test_it.py::test_slow[1]",
        "audio/test_it.py::test_slow[1]",
        "contract/test_it.py::test_slow[2]",
        "contract/test_it.py::test_slow[3]",
        "audio/test_it.py::test_slow[2]",
        "audio/test_it.py::test_slow[3]",
    ]
    result.stdout.no_fnmatch_line("*no time left*")


def test_what_there_is_no_time_for_is_skipped_and_listed_with_what_was_skipped_for_other_reasons(
    pytester,
) -> None:
    result = run(pytester, 1.0)
    result.assert_outcomes(passed=4, skipped=6)
    result.stdout.fnmatch_lines(
        [
            "*not run: 2, strace is not installed*",
            "contract/test_it.py: test_traced",
            "audio/test_it.py: test_traced",
            "*not run: 4, no time left of 1 minutes (TEST_MINUTES)*",
            "contract/test_it.py: test_slow (2)",
            "audio/test_it.py: test_slow (2)",
            "*4 passed, 6 skipped*",
        ]
    )


def test_fast_ones_are_skipped_too_once_the_time_is_over(pytester) -> None:
    result = run(pytester, 0.1)
    result.assert_outcomes(passed=1, skipped=9)
    result.stdout.fnmatch_lines(
        ["*not run: 7, no time left*", "*audio/test_it.py: test_fast, test_slow (3)*"]
    )


def test_minutes_are_a_number_above_0() -> None:
    assert read_minutes({}) is None
    assert read_minutes({"TEST_MINUTES": ""}) is None
    assert read_minutes({"TEST_MINUTES": "0.5"}) == 0.5
    for text in ("0", "-1", "an hour", "nan", "inf"):
        with pytest.raises(pytest.UsageError, match="TEST_MINUTES"):
            read_minutes({"TEST_MINUTES": text})

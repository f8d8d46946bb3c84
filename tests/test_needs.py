"""A test for which something is missing is skipped, or fails where all is said to be there."""

from __future__ import annotations

import pytest
from needs import read_require_all

CONFTEST = """
from needs import RequireAll
from time_budget import TimeBudget

def pytest_configure(config):
    config.pluginmanager.register(TimeBudget(None))
    if {all_is_required}:
        config.pluginmanager.register(RequireAll())
"""
BODY = """
import pytest
from needs import lacks

@pytest.mark.skipif(True, reason=lacks("strace", "kills"))
def test_marked():
    pass

@pytest.fixture
def disk():
    pytest.skip(lacks("a disk", "full disks"))

def test_in_its_fixture(disk):
    pass

def test_within():
    pytest.skip(lacks("strace", "kills"))

def test_for_another_reason():
    pytest.skip("entities have no such probabilities")

def test_run():
    pass
"""


def run(pytester: pytest.Pytester, all_is_required: bool) -> pytest.RunResult:
    pytester.makeconftest(CONFTEST.format(all_is_required=all_is_required))
    pytester.makepyfile(BODY)
    return pytester.runpytest_inprocess("--import-mode=importlib", "-p", "no:cacheprovider")


def test_what_was_not_tested_is_named_at_the_end(pytester: pytest.Pytester) -> None:
    result = run(pytester, False)
    result.assert_outcomes(passed=1, skipped=4)
    result.stdout.fnmatch_lines(
        [
            "*not run: 1, this machine lacks a disk: not tested is full disks*",
            "*not run: 2, this machine lacks strace: not tested is kills*",
            "*test_marked, test_within*",
        ]
    )


def test_where_all_is_required_it_fails_and_other_skips_stay(pytester: pytest.Pytester) -> None:
    result = run(pytester, True)
    counts = result.parseoutcomes()
    assert (counts["passed"], counts["skipped"]) == (1, 1)
    assert counts.get("failed", 0) + counts.get("errors", 0) == 3
    result.stdout.fnmatch_lines(["*this machine lacks a disk: * (KERASFT_REQUIRE_ALL is 1)*"])


def test_the_variable_is_1_0_or_nothing() -> None:
    assert [read_require_all({"KERASFT_REQUIRE_ALL": text}) for text in ("1", "0", "")] == [
        True,
        False,
        False,
    ]
    assert not read_require_all({})
    with pytest.raises(pytest.UsageError, match="KERASFT_REQUIRE_ALL is 'yes'"):
        read_require_all({"KERASFT_REQUIRE_ALL": "yes"})

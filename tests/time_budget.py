"""A pytest plugin: the order of the tests, how many minutes they may take, and what was not run and why."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping

import pytest

TELLING_FIRST = ("contract", "faults", "serving", "stages", "training", "tasks", "cli")
"""Folders of tests that run many rooms at once, and so find most; all others come after them as collected."""


def read_minutes(environment: Mapping[str, str]) -> float | None:
    """What TEST_MINUTES says, None (no limit) where it is unset or empty.

    Raises:
        pytest.UsageError: it is no number above 0.
    """
    text = environment.get("TEST_MINUTES", "").strip()
    if not text:
        return None
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes < float("inf"):
        raise pytest.UsageError(
            f"TEST_MINUTES is {text!r}: give the minutes as a number above 0, or leave it unset"
        )
    return minutes


class TimeBudget:
    """Runs the most telling tests first, skips those for which no time is left, and lists all that was skipped.

    The order: fast tests before slow ones; of slow tests with several cases, the first case of each before all other
    cases; in each of these three, the folders of TELLING_FIRST, then the others. The time counts from the making of
    this object.
    """

    def __init__(self, minutes: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.end = None if minutes is None else clock() + 60 * minutes
        self.no_time_left = None if minutes is None else f"no time left of {minutes:g} minutes (TEST_MINUTES)"
        self.skipped: dict[str, list[str]] = defaultdict(list)  # reason → test ids

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        seen = set()

        def rank(item: pytest.Item) -> tuple[bool, bool, int]:
            slow = item.get_closest_marker("slow") is not None
            test = item.nodeid.partition("[")[0]
            another_case = slow and test in seen
            seen.add(test)
            folders = item.path.relative_to(config.rootpath).parts[:-1]
            found = (place for place, folder in enumerate(TELLING_FIRST) if folder in folders)
            return slow, another_case, next(found, len(TELLING_FIRST))

        items.sort(key=rank)

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        if self.end is not None and self.clock() >= self.end:
            pytest.skip(self.no_time_left)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and isinstance(report.longrepr, tuple):
            self.skipped[report.longrepr[2].removeprefix("Skipped: ")].append(report.nodeid)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        reasons = sorted(self.skipped, key=lambda reason: (reason == self.no_time_left, reason))
        for reason in reasons:
            tests = self.skipped[reason]
            terminalreporter.write_sep("-", f"not run: {len(tests)}, {reason}")
            for file, names in group_by_file(tests).items():
                terminalreporter.write_line(f"{file}: {', '.join(names)}")


def group_by_file(tests: list[str]) -> dict[str, list[str]]:
    """Test ids → file → names; the cases of one test are counted: `test_name (9)`."""
    files: dict[str, Counter[str]] = defaultdict(Counter)
    for test in tests:
        file, _, name = test.partition("::")
        files[file][name.partition("[")[0]] += 1
    return {
        file: [f"{name} ({count})" if count > 1 else name for name, count in counted.items()]
        for file, counted in files.items()
    }

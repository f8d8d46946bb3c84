"""What tests need of a machine: one that lacks it skips them, or fails where all is said to be there."""

from __future__ import annotations

from collections.abc import Generator, Mapping

import pytest

LACKS = "this machine lacks "


def lacks(need: str, topic: str) -> str:
    """The reason for a skip: what is not there, and what is not tested for want of it."""
    return f"{LACKS}{need}: not tested is {topic}"


def read_require_all(environment: Mapping[str, str]) -> bool:
    """What KERASFT_REQUIRE_ALL says; unset and empty are no.

    Raises:
        pytest.UsageError: it is neither 0 nor 1.
    """
    text = environment.get("KERASFT_REQUIRE_ALL", "").strip()
    if text not in ("", "0", "1"):
        raise pytest.UsageError(f"KERASFT_REQUIRE_ALL is {text!r}: give 1, 0 or nothing")
    return text == "1"


class RequireAll:
    """A pytest plugin: a test that the machine lacks something for fails."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2].removeprefix("Skipped: ")
            if reason.startswith(LACKS):
                report.outcome = "failed"
                report.longrepr = f"{reason} (KERASFT_REQUIRE_ALL is 1)"
        return report

"""Shared by all tests: loggers are left as they were, and the run ends in one list of what did not run and why.

A skipped test is easily overlooked. So a run ends in a block that names each unmet need with the tests it cost. With
`LOOKOUT_TESTS_STRICT=1` (`.ci/run` sets it) such a run fails, except for the needs named in
`LOOKOUT_TESTS_MAY_LACK` (comma-separated names of `tests/requires.py`).
"""

from __future__ import annotations

import logging
import os
import signal
from collections import defaultdict
from collections.abc import Iterator

import pytest

from tests.requires import NEEDS


def pytest_configure() -> None:
    """A run in the background of a script inherits that Ctrl-C is ignored, and so would all that it starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_is_left_as_it_was() -> Iterator[None]:
    """What a test does to the loggers must not make the next one deaf."""
    loggers = [logging.getLogger(name) for name in (None, "lookout", "uvicorn", "asyncio")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def _skips(terminal: pytest.TerminalReporter) -> dict[str, list[str]]:
    """Reason -> names of the tests and modules skipped for it."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for report in terminal.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        by_reason[reason.removeprefix("Skipped: ")].append(report.nodeid)
    return by_reason


def _excused(reason: str) -> bool:
    """Whether every need in `reason` may be lacking here."""
    allowed = {name for name in os.environ.get("LOOKOUT_TESTS_MAY_LACK", "").split(",") if name}
    sentences = reason.removeprefix("needs ").split("; ")
    return all(any(NEEDS[name].sentence == sentence for name in allowed & NEEDS.keys()) for sentence in sentences)


def _strict_failures(terminal: pytest.TerminalReporter) -> list[str]:
    if os.environ.get("LOOKOUT_TESTS_STRICT") != "1":
        return []
    return [reason for reason in _skips(terminal) if not _excused(reason)]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skips = _skips(terminalreporter)
    if not skips:
        return
    terminalreporter.section("DID NOT RUN", sep="!", yellow=True, bold=True)
    for reason, tests in sorted(skips.items()):
        terminalreporter.line(f"{reason}: {len(tests)} of the tests, the first {tests[0]}")
    for reason in _strict_failures(terminalreporter):
        terminalreporter.line(f"this run must not skip anything that can run here: {reason}", red=True, bold=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None and session.exitstatus == pytest.ExitCode.OK and _strict_failures(terminal):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED

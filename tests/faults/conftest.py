"""The table at the end of the run; `pytest tests/faults --fault-table FILE` writes it as Markdown too."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults import table


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault-table", metavar="FILE", default=None, help="write the table of faults as Markdown")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not table.ROWS:
        return
    terminalreporter.section("faults", sep="-")
    for line in table.plain():
        terminalreporter.line(line)
    file = config.getoption("--fault-table", default=None)
    if file:
        Path(file).write_text(table.markdown(), "utf-8")

"""The table of faults and what became of them, printed after the run and written as Markdown for the README."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

HEADINGS = ("Fault", "What users see meanwhile", "Seen after", "Answers again after")


@dataclass(frozen=True)
class Row:
    """seen, again: seconds by interface, None where there was nothing to see. note: what users see, in words."""

    fault: str
    note: str
    seen: Mapping[str, float | None]
    again: Mapping[str, float | None]

    def cells(self) -> tuple[str, str, str, str]:
        return self.fault, self.note, _range(self.seen), _range(self.again)


ROWS: list[Row] = []


def record(
    fault: str,
    note: str,
    seen: Mapping[str, float | None] | None = None,
    again: Mapping[str, float | None] | None = None,
) -> None:
    ROWS.append(Row(fault, note, seen or {}, again or {}))


def _range(seconds: Mapping[str, float | None]) -> str:
    """The slowest interface; a dash where nothing was to be seen."""
    known = [value for value in seconds.values() if value is not None]
    return f"{max(known):.1f} s" if known else "–"


def markdown() -> str:
    lines = [" | ".join(HEADINGS), " | ".join("---" for _ in HEADINGS), *(" | ".join(row.cells()) for row in ROWS)]
    return "".join(f"| {line} |\n" for line in lines)


def plain() -> list[str]:
    cells = [HEADINGS, *(row.cells() for row in ROWS)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEADINGS))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]

"""The known lines in a log: how often each occurred, and its last occurrence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lookout.system.known_lines import KNOWN_LINES, KnownLine


@dataclass(frozen=True, slots=True)
class Sighting:
    """A known line in a log: how often it occurred, and its last occurrence."""

    known: KnownLine
    count: int
    last: str


def explain(lines: Iterable[str]) -> list[Sighting]:
    """Return the known lines of a log, in the order of their last occurrence."""
    seen: dict[KnownLine, tuple[int, str]] = {}
    for line in lines:
        for known in KNOWN_LINES:
            if known.pattern.search(line):
                count = seen.pop(known, (0, ""))[0]
                seen[known] = (count + 1, line.strip())
                break
    return [Sighting(known, count, last) for known, (count, last) in seen.items()]

"""Recognises messages of a camera's software, and turns them into errors with remedies."""

from __future__ import annotations

from collections.abc import Iterable

from lookout.errors import CameraError
from lookout.system.known_lines import KNOWN_LINES


def diagnose(lines: Iterable[str]) -> CameraError | None:
    """Return the error that the newest known line stands for; None if no line is known. lines: oldest first."""
    for line in reversed(list(lines)):
        for known in KNOWN_LINES:
            if known.camera_error is None:
                continue
            if known.pattern.search(line) or (known.camera_pattern and known.camera_pattern.search(line)):
                return known.camera_error(known.detail, known.remedy)
    return None

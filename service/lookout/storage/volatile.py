"""Detects folders that are not on a disk: an overlay over a read-only root keeps writes in memory until a restart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# The kernel parameters with which Raspberry Pi OS and the package overlayroot enable it.
_OVERLAY_PARAMETERS = re.compile(r"\b(boot=overlay|overlayroot=(?!disabled))")


@dataclass(frozen=True, slots=True)
class _Mount:
    place: Path
    kind: str
    options: str


def is_in_memory(folder: Path, root: Path = Path("/")) -> bool:
    """Whether the folder is on a tmpfs."""
    mount = _mount_of(folder, root)
    return mount is not None and mount.kind == "tmpfs"


def is_under_overlay(folder: Path, root: Path = Path("/")) -> bool:
    """Whether the folder is on an overlay whose upper layer is in memory.

    A container's root is an overlay too, but of layers on disk. root: where /proc is found.
    """
    mount = _mount_of(folder, root)
    if mount is None or mount.kind != "overlay":
        return False
    upper = re.search(r"\bupperdir=([^,]+)", mount.options)
    return bool(_OVERLAY_PARAMETERS.search(_text(root / "proc/cmdline"))) or (
        upper is not None and is_in_memory(Path(upper[1]), root)
    )


def _mount_of(folder: Path, root: Path) -> _Mount | None:
    """Return the mount that a path is on: the deepest one above it, and the latest if several are there."""
    found = None
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        place = Path(re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4]))
        if folder.is_relative_to(place) and (found is None or len(place.parts) >= len(found.place.parts)):
            found = _Mount(place, kind[0], kind[2])
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:  # /proc is hidden, so nothing is known
        return ""

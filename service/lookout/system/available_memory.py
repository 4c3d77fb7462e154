"""How much memory this process may still use, with the limit of its container or systemd unit in mind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil

_GROUPS = "sys/fs/cgroup"


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that the machine has left, or a control group (version 2) of this process if that is less.

    The machine's own figure ignores control groups, so in a container it would be that of the whole machine.
    """
    machine: int = psutil.virtual_memory().available
    return min((machine, *left_in_groups(root)))


def left_in_groups(root: Path) -> Iterator[int]:
    """Yield the bytes left in this process's control group and in those around it, for each that has a limit."""
    own = next((line[3:] for line in _text(root / "proc/self/cgroup").splitlines() if line.startswith("0::")), None)
    if own is None:
        return
    group = root / _GROUPS / own.strip("/")
    for folder in (group, *group.parents):
        limits = [
            int(text) for name in ("memory.max", "memory.high") if (text := _text(folder / name).strip()).isdigit()
        ]
        used = _text(folder / "memory.current").strip()
        if limits and used.isdigit():
            yield max(0, min(limits) - int(used) + _droppable(folder))
        if folder == root / _GROUPS:
            return


def _droppable(group: Path) -> int:
    """The bytes of cached files not used lately; the kernel drops them first, and Docker counts them as free."""
    lines = (line.split() for line in _text(group / "memory.stat").splitlines())
    return next((int(line[1]) for line in lines if line[:1] == ["inactive_file"] and len(line) == 2), 0)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""

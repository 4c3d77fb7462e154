"""Files that survive a power cut: the old content or the new, never a part of either."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable
from pathlib import Path

from typing_extensions import Buffer

# Between two chunks others get their turn, and none takes long to reach even a slow card.
_CHUNK_BYTES = 2**20
# The process that was writing is part of the name: it tells what a power cut or a kill has left behind.
_TEMPORARY = re.compile(r"\..+\.(\d+)\.new")


def _nothing() -> None:
    pass


def replace_file(
    path: Path,
    content: Buffer,
    *,
    between: Callable[[], None] = _nothing,
    commit: Callable[[], None] = _nothing,
) -> None:
    """Replace a file in one step, synced, readable by its owner alone.

    between: called after each chunk. commit: called before the one step that counts; what it raises stops the step.
    Raises OSError; then the old file stands, unless all that failed was to make the step last.
    """
    temporary = _temporary(path.parent, path.name)
    try:
        _write_synced(temporary, memoryview(content), between)
        commit()
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def _write_synced(path: Path, content: memoryview, between: Callable[[], None]) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        for start in range(0, len(content), _CHUNK_BYTES):
            rest = content[start : start + _CHUNK_BYTES]
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
            between()
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_file(path: Path, *, commit: Callable[[], None] = _nothing) -> None:
    """Remove a file for good; one that is not there is removed already. Raises OSError."""
    commit()
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, for the owner alone; it lasts like what is put into it. Raises OSError."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename in the folder last: on ext4 it is otherwise written seconds later."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def probe_folder(folder: Path) -> None:
    """See that a file can be made in the folder and synced. Raises OSError."""
    probe = _temporary(folder, "writable")
    _write_synced(probe, memoryview(b""), _nothing)
    probe.unlink()


def sweep_folder(folder: Path) -> None:
    """Remove what processes that are no more have left half written."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            found = _TEMPORARY.fullmatch(path.name)
            if found and not _is_another_running(int(found[1])):
                with contextlib.suppress(OSError):
                    path.unlink()


def _temporary(folder: Path, name: str) -> Path:
    return folder / f".{name}.{os.getpid()}.new"


def _is_another_running(process: int) -> bool:
    return process != os.getpid() and Path(f"/proc/{process}").exists()

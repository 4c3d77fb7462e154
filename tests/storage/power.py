"""A disk that loses power: records what is asked of the operating system below a folder, and returns what is left.

A strict disk, as POSIX allows: content is lost until its file is synced, a name until its folder is. Real file systems
keep more, and some keep names without their content; the `WORLDS` are those ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

# Everything written survives; only what was synced; names, but not the content that was not synced; names, and half
# of that content.
WORLDS = ("all", "synced", "names", "torn")

Content = Mapping[str, bytes]
Step = Callable[["Disk"], None]


def content_of(folder: Path) -> dict[str, bytes]:
    """The files below a folder by their relative paths."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class Disk:
    """Names lead to files (by number), and files have content: as written, and as synced."""

    def __init__(self, content: Content) -> None:
        self._numbers = itertools.count()
        self.written: dict[int, bytes] = {}
        self.synced: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        for name, data in content.items():
            self.names[name] = number = next(self._numbers)
            self.written[number] = self.synced[number] = data
        self.lasting = dict(self.names)

    def create(self, name: str) -> int:
        number = self.names.setdefault(name, next(self._numbers))
        self.written.setdefault(number, b"")
        return number

    def truncate(self, name: str) -> None:
        self.written[self.names[name]] = b""

    def write(self, name: str, data: bytes) -> None:
        self.written[self.names[name]] += data

    def sync(self, name: str) -> None:
        number = self.names[name]
        self.synced[number] = self.written[number]

    def sync_folder(self, folder: str) -> None:
        """What happened to the folder's own names lasts now."""
        for name in {*self.names, *self.lasting}:
            if str(Path(name).parent) != (folder or "."):
                continue
            if name in self.names:
                self.lasting[name] = self.names[name]
            else:
                self.lasting.pop(name, None)

    def rename(self, old: str, new: str) -> None:
        self.names[new] = self.names.pop(old)

    def remove(self, name: str) -> None:
        del self.names[name]

    def after_power_cut(self, world: str) -> dict[str, bytes]:
        """The files found when the power is back."""
        names = self.lasting if world == "synced" else self.names
        return {name: self._left(number, world) for name, number in names.items()}

    def _left(self, number: int, world: str) -> bytes:
        written, synced = self.written[number], self.synced.get(number, b"")
        if world == "all" or written == synced:
            return written
        return written[: len(written) // 2] if world == "torn" else synced


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator[list[Step]]:
    """The steps that were taken below the folder meanwhile, each to be taken again on a `Disk`."""
    steps: list[Step] = []
    places: dict[int, str] = {}
    real = {name: getattr(os, name) for name in ("open", "close", "write", "fsync", "replace", "rename", "unlink")}

    def below(path: Any) -> str | None:
        place = Path(os.fspath(path))
        return None if not place.is_relative_to(folder) else "" if place == folder else str(place.relative_to(folder))

    def take(step: Step) -> None:
        steps.append(step)

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor: int = real["open"](path, flags, mode, dir_fd=dir_fd)
        if isinstance(path, str | os.PathLike) and (name := below(path)) is not None:
            places[descriptor] = name
            if flags & os.O_CREAT:
                take(lambda disk: disk.create(name) and None)
            if flags & os.O_TRUNC:
                take(lambda disk: disk.truncate(name))
        return descriptor

    def closed(descriptor: int) -> None:
        places.pop(descriptor, None)
        real["close"](descriptor)

    def wrote(descriptor: int, data: Any) -> int:
        size: int = real["write"](descriptor, data)
        if (name := places.get(descriptor)) is not None:
            piece = bytes(memoryview(data)[:size])
            take(lambda disk: disk.write(name, piece))
        return size

    def synced(descriptor: int) -> None:
        real["fsync"](descriptor)
        if (name := places.get(descriptor)) is not None:
            is_folder = (folder / name).is_dir()
            take(lambda disk: disk.sync_folder(name) if is_folder else disk.sync(name))

    def renamed(old: Any, new: Any) -> None:
        real["replace"](old, new)
        if (before := below(old)) is not None and (after := below(new)) is not None:
            take(lambda disk: disk.rename(before, after))

    def removed(path: Any) -> None:
        real["unlink"](path)
        if (name := below(path)) is not None:
            take(lambda disk: disk.remove(name))

    with pytest.MonkeyPatch.context() as patch:
        doubles = (opened, closed, wrote, synced, renamed, renamed, removed)
        for name, double in zip(real, doubles, strict=True):
            patch.setattr(os, name, double)
        yield steps


def restore(content: Content, folder: Path) -> None:
    """Put files where they were."""
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

"""Disks that are full, read-only, gone, silent or slow, as the kernel makes them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=10)


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "256k") -> Iterator[Path]:
    """A tmpfs of that many bytes, mounted at `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _run("umount", "-l", str(folder))


def fill(folder: Path) -> Path:
    """Write until there is no space left; the file that fills it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 1024)
    return filler


def set_read_only(folder: Path, *, read_only: bool) -> None:
    """The kernel refuses while a file is open for writing: for the moment of a change or a look."""
    for attempt in range(10):
        try:
            _run("mount", "-o", f"remount,{'ro' if read_only else 'rw'}", str(folder))
            break
        except subprocess.CalledProcessError:
            if attempt == 9:
                raise
            time.sleep(0.1)


class Bound:
    """One folder shown at the place of another, as a disk is at its mount point; it can be pulled and plugged in."""

    def __init__(self, source: Path, folder: Path) -> None:
        self._source, self._folder = source, folder

    def mount(self) -> None:
        _run("mount", "--bind", str(self._source), str(self._folder))

    def unmount(self) -> None:
        _run("umount", "-l", str(self._folder))


@contextlib.contextmanager
def bound(source: Path, folder: Path) -> Iterator[Bound]:
    """Mounted at the start, and unmounted at the end."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = Bound(source, folder)
    mounted.mount()
    try:
        yield mounted
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True, timeout=10)


@contextlib.contextmanager
def silent(folder: Path) -> Iterator[None]:
    """Over the folder a disk that never answers: every caller waits, until the end.

    A file system in user space (FUSE) whose user never reads a request; the end of it fails all that wait.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
    try:
        if libc.mount(b"silent", os.fsencode(folder), b"fuse", 0, options.encode()) != 0:
            raise OSError(ctypes.get_errno(), "a silent disk cannot be mounted")
        yield
    finally:
        os.close(device)
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True, timeout=10)


class Slow:
    """A disk of another pace. folder: where it is mounted."""

    def __init__(self, folder: Path, delay_file: Path) -> None:
        self.folder = folder
        self._delay_file = delay_file
        self.set(0.0)

    def set(self, sync_s: float) -> None:
        """Seconds that it takes to have something on it for certain; a write takes a tenth."""
        self._order(str(sync_s))

    def break_down(self, at: int = 8192) -> None:
        """From now on only the first `at` bytes of a file can be read."""
        self._order(f"broken {at}")

    def _order(self, word: str) -> None:
        fresh = self._delay_file.with_suffix(".new")
        fresh.write_text(word)
        fresh.replace(self._delay_file)


@contextlib.contextmanager
def slow(top: Path, *flags: str) -> Iterator[Slow]:
    """A disk (FUSE) below `top`, quick at first. flags: those of `slow_disk.py`."""
    kept, folder = top / "kept", top / "slow"
    for one in (kept, folder):
        one.mkdir(parents=True, mode=0o700)
    disk = Slow(folder, top / "delay")
    command = [sys.executable, "-m", "tests.faults.slow_disk", *map(str, (kept, folder, top / "delay")), *flags]
    # By name, since a bare system has nothing that finds it.
    environment = os.environ | {"FUSE_LIBRARY_PATH": "libfuse3.so.3"}
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + 20
        while not folder.is_mount():
            assert server.poll() is None, "the slow disk cannot be mounted"
            assert time.monotonic() < deadline, "the slow disk is not mounted"
            time.sleep(0.05)
        yield disk
    finally:
        disk.set(0.0)
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True, timeout=10)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

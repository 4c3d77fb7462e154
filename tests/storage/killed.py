"""Kills a process at its first, second, … write, for every kind of write: python -m tests.storage.killed FOLDER."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.storage.changes import CHANGES, check_it_opens, content_of_kept, prepare

_WRITING = ("open", "write", "fsync", "replace", "unlink", "mkdir")


def _die_at(number: int, folder: Path) -> None:
    """Have this process killed instead of its `number`th change to the disk; in the middle of it, if it is a write."""
    counted = 0

    def doubled(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def double(*arguments: Any, **more: Any) -> Any:
            nonlocal counted
            writes = name != "open" or arguments[1] & os.O_CREAT
            ours = not isinstance(arguments[0], str | os.PathLike) or Path(arguments[0]).is_relative_to(folder)
            if writes and ours:
                counted += 1
                if counted == number:
                    if name == "write":
                        real(arguments[0], bytes(arguments[1])[: len(arguments[1]) // 2])
                    os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **more)

        return double

    for name in _WRITING:
        setattr(os, name, doubled(name, getattr(os, name)))


def _kill_at_every_write(what: str, top: Path) -> int:
    """How often it had to be killed until it came through."""
    clean = top / "clean" / "state"
    prepare(clean, what, used=True)
    before = content_of_kept(clean)
    for number in range(1, 1000):
        folder = top / str(number) / "state"
        shutil.copytree(clean, folder)
        child = os.fork()
        if child == 0:
            _die_at(number, folder)
            CHANGES[what](folder)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        left = content_of_kept(folder)
        assert before.keys() - left.keys() <= {"paused"}, f"{what}, killed at write {number}: {left.keys()}"
        check_it_opens(folder)
        shutil.rmtree(top / str(number))
        if status == 0:
            shutil.rmtree(top / "clean")
            return number - 1
        assert os.WTERMSIG(status) == signal.SIGKILL, f"{what} failed at write {number}: {status}"
    raise AssertionError(f"{what} writes without end")


def main(top: Path) -> None:
    os.fsync = lambda _: None  # a kill loses nothing that was written: syncing would only take time
    for what in CHANGES:
        print(f"{what}: {_kill_at_every_write(what, top)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

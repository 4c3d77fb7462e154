"""A long run on the terminal: its progress bar, and Ctrl-C."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.training.stopping import Interrupted, Stopped, interruptible

console = Console(stderr=True)


class Bar:
    """A progress bar that shows the latest message of a training loop."""

    def __init__(self, what: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, TextColumn("{task.fields[words]}"), console=console)
        self._task = self._progress.add_task(what, total=None, words="")

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, step: int, total: int, words: str) -> None:
        self._progress.update(self._task, completed=step, total=total, words=words)


@contextmanager
def running(what: str) -> Iterator[tuple[Bar, Stopped]]:
    """Show a progress bar; after Ctrl-C, save the last step and print the command that continues the run."""
    try:
        with Bar(what) as bar, interruptible() as stopped:
            yield bar, stopped
    except Interrupted as interrupted:
        console.print(f"{str(interrupted).capitalize()}; the same command goes on from there:")
        console.print(f"  python -m models.training {shlex.join(sys.argv[1:])}", soft_wrap=True, highlight=False)
        raise typer.Exit(130) from None

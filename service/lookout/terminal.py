"""Output of the command line: data on stdout, messages on stderr, an error as what happened and what helps."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lookout.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from lookout.errors import LookoutError

T = TypeVar("T")

# When stdout is not a terminal, nothing is cut to fit one.
_WIDE = 250


@contextmanager
def _dropping_unwritable() -> Iterator[None]:
    """Drop messages that cannot be written (a full disk, a closed pipe), so that the command goes on."""
    try:
        yield
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # or Python would flush once more at exit, and fail


def say(text: str) -> None:
    """Print a message to stderr."""
    with _dropping_unwritable():
        print(printable(text), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """Print a line of data that is neither a table nor JSON."""
    print(printable(text), flush=True)


def print_error(error: LookoutError) -> None:
    """Print the error's title, what happened and what helps; never a traceback."""
    with _dropping_unwritable():
        _print_error(error)


def _print_error(error: LookoutError) -> None:
    console = _plain(stderr=True, soft_wrap=True)
    console.print(f"{error.title}.", style="bold red")
    console.print(error.detail)
    if error.remedy:
        console.print(error.remedy, style="green")


def console() -> Console:
    """Return a console for tables of data."""
    return _plain(width=None if sys.stdout.isatty() else _WIDE)


def _plain(**options: Any) -> Console:
    """Return a console that leaves its text as it is, but lets no control characters through to the terminal."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Handle a pipe that its reader, such as `head`, has closed: not a failure, as with any other output."""
            raise BrokenPipeError

        def render(self, *arguments: Any, **more: Any) -> Iterator[Segment]:
            for segment in super().render(*arguments, **more):
                yield segment if segment.control else Segment(printable(segment.text), segment.style)

    return Plain(highlight=False, markup=False, emoji=False, **options)


def table(*columns: str, right: Sequence[str] = (), folding: Sequence[str] = ()) -> Table:
    """Return a plain table. right: columns of numbers. folding: columns that may take several lines."""
    from rich import box
    from rich.table import Table

    class Rows(Table):
        def add_row(self, *cells: Any, **more: Any) -> None:
            """Escape before columns are measured, or the longer text would be cut off."""
            super().add_row(*(printable(cell) if isinstance(cell, str) else cell for cell in cells), **more)

    made = Rows(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in right else "left",
            overflow="fold",
            no_wrap=name not in folding,
        )
    return made


@contextmanager
def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterator[Iterable[T]]:
    """Provide the items, with a progress bar on stderr if that is a terminal."""
    if not _shows_progress(total):
        yield items
        return
    with _bar() as bar:
        yield bar.track(items, total=total, description=what)


@contextmanager
def counter(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Provide a function that counts one more done, with a progress bar on stderr if that is a terminal."""
    if not _shows_progress(total):
        yield lambda: None
        return
    with _bar() as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _shows_progress(total: int | None) -> bool:
    return sys.stderr.isatty() and (total is None or total > 1)


def _bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def size(count: float) -> str:
    """Return a number of bytes as text for people: 44.7 MB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

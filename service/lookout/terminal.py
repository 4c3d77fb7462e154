"""How the command line speaks: data on stdout, words on stderr, an error as what happened and what helps."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from lookout.printable import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from lookout.errors import LookoutError

T = TypeVar("T")

# Where stdout is no terminal, nothing is cut to fit one.
_WIDE = 250


@contextmanager
def _where_words_go() -> Iterator[None]:
    """Words that cannot be written (a full disk, a reader who has gone) are lost; the command goes on as it would."""
    try:
        yield
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # or Python would try once more at its end, and fail


def say(text: str) -> None:
    """A line for people."""
    with _where_words_go():
        print(printable(text), file=sys.stderr, flush=True)


def show(text: str) -> None:
    """A line of data that is neither a table nor JSON."""
    print(printable(text), flush=True)


def tell(error: LookoutError) -> None:
    """The error's title, what happened and what helps; never a traceback."""
    with _where_words_go():
        _tell(error)


def _tell(error: LookoutError) -> None:
    console = _plain(stderr=True, soft_wrap=True)
    console.print(f"{error.title}.", style="bold red")
    console.print(error.detail)
    if error.remedy:
        console.print(error.remedy, style="green")


def console() -> Console:
    """For data that is a table."""
    return _plain(width=None if sys.stdout.isatty() else _WIDE)


def _plain(**options: Any) -> Console:
    """A console that changes nothing in its text, but lets none of it act on the terminal."""
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """The reader, such as `head`, has had enough: no failure, here as for every other output."""
            raise BrokenPipeError

        def render(self, *arguments: Any, **more: Any) -> Iterator[Segment]:
            for segment in super().render(*arguments, **more):
                yield segment if segment.control else Segment(printable(segment.text), segment.style)

    return Plain(highlight=False, markup=False, emoji=False, **options)


def table(*columns: str, right: Sequence[str] = (), folding: Sequence[str] = ()) -> Table:
    """A plain table. right: columns of numbers. folding: columns that may take several lines."""
    from rich import box
    from rich.table import Table

    class Rows(Table):
        def add_row(self, *cells: Any, **more: Any) -> None:
            """Spelt out before columns are measured, or what that adds would be cut off."""
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
    """The items, with a bar on stderr while they are worked through, if people look there."""
    if not sys.stderr.isatty() or (total is not None and total < 2):
        yield items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar.track(items, total=total, description=what)


def size(count: float) -> str:
    """Bytes for people: 44.7 MB."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"

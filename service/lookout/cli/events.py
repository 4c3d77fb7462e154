"""`lookout events`: the diary on the command line; works beside a running service."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from lookout.cli.app import App
from lookout.cli.settings_flags import CONFIG_HELP
from lookout.errors import LookoutError, RequestInvalid
from lookout.events.errors import UnknownEvent
from lookout.printable import printable_json
from lookout.terminal import console, progress, say, size, table

if TYPE_CHECKING:
    from lookout.events.event import Event
    from lookout.events.queries import Filter
    from lookout.events.store import Store


class ExportUnwritable(LookoutError):
    """The file to export to cannot be written."""

    code = "export_unwritable"
    title = "The file cannot be written"


app = App(help="List, mark, export and delete what was seen.", no_args_is_help=True)


class Review(StrEnum):
    """Which events, by the state of their review."""

    SAMPLED = "sampled"
    TODO = "todo"  # a value of the API (`review=todo`): events to be reviewed by a person
    WRONG = "wrong"
    DONE = "done"


_Config = Annotated[Path | None, typer.Option("--config", "-c", metavar="FILE", help=CONFIG_HELP)]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per event and line.")]
_Label = Annotated[str | None, typer.Option("--label", "-l", help="Only those with this label, after any correction.")]
_Reviewed = Annotated[
    Review | None, typer.Option("--review", help="Only those drawn at random, to review, wrong, or reviewed.")
]
_From = Annotated[datetime | None, typer.Option("--from", help="Started then or later, in local time.")]
_To = Annotated[datetime | None, typer.Option("--to", help="Started before then.")]
_Ids = Annotated[list[int], typer.Argument(metavar="ID…", help="As `lookout events list` shows them.")]


@app.command("list")
def list_events(
    label: _Label = None,
    review: _Reviewed = None,
    begun_from: _From = None,
    begun_to: _To = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="How many at most.")] = 50,
    as_json: _Json = False,
    config: _Config = None,
) -> None:
    """List events, the newest first."""
    with _store(config) as store:
        events, more = store.page(_filter(label, review, begun_from, begun_to), None, limit)
    if as_json:
        _print_json(events)
        return
    if not events:
        say("There are no such events.")
        return
    rows = table("Id", "Begun", "For", "What", "Sure", "", folding=("What",))
    for event in events:
        rows.add_row(
            str(event.id),
            _local(event.started),
            _lasted(event),
            _what(event),
            _percent(event.probability),
            _marks(event),
        )
    console().print(rows)
    if more is not None:
        say(f"There are more: --limit {limit * 10}")


@app.command("show")
def show(
    number: Annotated[int, typer.Argument(metavar="ID", help="As `lookout events list` shows it.")],
    picture: Annotated[
        Path | None, typer.Option("--picture", metavar="FILE.jpg", help="Write its best frame to this file.")
    ] = None,
    config: _Config = None,
) -> None:
    """Print everything that is known about one event, as JSON."""
    from lookout.events.event import event_view

    with _store(config) as store:
        event = store.get(number)
        if picture is not None:
            with _written(picture) as output:
                output.write(store.picture(number, "jpg"))
    typer.echo(printable_json(event_view(event), 2))


@app.command("mark")
def mark(
    ids: _Ids,
    right: Annotated[str | None, typer.Option("--right", help="What it really was.")] = None,
    unmark: Annotated[bool, typer.Option("--unmark", help="Remove the mark.")] = False,
    keep: Annotated[bool | None, typer.Option("--keep/--no-keep", help="Keep them for ever, or not.")] = None,
    note: Annotated[str | None, typer.Option("--note", help="A note of your own.")] = None,
    config: _Config = None,
) -> None:
    """Say what events really were, keep them, or add a note. Marks are counted; on their own they change no answer."""
    values: dict[str, Any] = {}
    if right is not None or unmark:
        values["right"] = None if unmark else _checked(right or "", 100, "--right")
    if keep is not None:
        values["kept"] = keep
    if note is not None:
        values["note"] = _checked(note, 500, "--note", may_be_empty=True)
    if not values:
        raise RequestInvalid("There is nothing to mark.", "Name one of --right, --unmark, --keep, --no-keep, --note.")
    with _store(config) as store:
        marked = store.mark(ids, values)
    _require(len(marked), ids)
    say(f"Marked {len(marked)} of {len(ids)}.")


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv|FILE.zip", help="A table, or pictures by label.")],
    label: _Label = None,
    review: _Reviewed = None,
    begun_from: _From = None,
    begun_to: _To = None,
    config: _Config = None,
) -> None:
    """Write events to a table, or their pictures by label to an archive.

    `python -m models.training … --data` reads the unpacked archive. Use --review done to export only what a person has
    reviewed: a network should not learn from its own mistakes.
    """
    from lookout.events.export import csv_head, csv_rows, walk, zip_parts

    if file.suffix not in (".csv", ".zip"):
        raise RequestInvalid(f"{file.name} is neither a table nor an archive.", "End its name in .csv or .zip.")
    wanted = _filter(label, review, begun_from, begun_to)
    with _store(config) as store, _written(file) as output:
        if file.suffix == ".csv":
            output.write(csv_head().encode())
            for events in walk(store, wanted):
                output.write(csv_rows(events).encode())
        else:
            with progress(zip_parts(store, wanted), "Exporting") as parts:
                for part in parts:
                    output.write(part)
    say(f"{file}: {size(file.stat().st_size)}.")


@app.command("delete")
def delete(
    ids: Annotated[list[int] | None, typer.Argument(metavar="ID…", help="As `list` shows them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything, including marked and kept events.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    config: _Config = None,
) -> None:
    """Delete events for good, with their pictures and embeddings. This cannot be undone."""
    if everything == bool(ids):
        raise RequestInvalid("It is not clear what is to be deleted.", "Name the ids, or --all.")
    what = "everything that was kept of what was seen" if everything else _counted(len(ids or ()), "event")
    if not yes and not typer.confirm(f"Delete {what} for good?"):
        raise typer.Abort
    with _store(config) as store:
        if everything:
            say(f"Deleted {store.delete_all()}. A card may hold remains until they are overwritten.")
            return
        there = [event.id for event in store.several(ids or [])]
        store.delete_now(there)
    _require(len(there), ids or [])
    say(f"Deleted {len(there)} of {len(ids or ())}.")


@app.command("check")
def check(config: _Config = None) -> None:
    """Check the file of events and repair it: a malformed file is set aside, rows and pictures are put right.

    The exit status is 1 if something was wrong, although it is repaired by then.
    """
    from lookout.events.sweep import sweep

    with _store(config) as store:
        wrong = store.database.read(_integrity) if store.database.is_there() else []
        for line in wrong[:10]:
            say(line)
        if wrong and not store.database.set_aside:  # reading a badly damaged file has already repaired it
            store.database.mend()
        swept = sweep(store, store_days(config))
        total = store.database.read(lambda c: int(c.execute("SELECT count(*) FROM events").fetchone()[0]))
        was_malformed = store.database.set_aside > 0
    say(
        f"{_counted(total, 'event')}. {_counted(swept.files, 'picture')} without a row removed, "
        f"{_counted(swept.rows, 'row')} without a picture put right."
    )
    if was_malformed:
        say("The file was malformed: it is set aside as events.db.malformed, and what could be read is kept.")
    if was_malformed or swept.files or swept.rows:
        raise typer.Exit(1)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _integrity(connection: sqlite3.Connection) -> list[str]:
    lines = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
    return [] if lines == ["ok"] else lines


# --- shared -------------------------------------------------------------------------------------------------------


@contextmanager
def _store(config: Path | None) -> Iterator[Store]:
    from lookout.cli.state_folder import settings_for, storage_of
    from lookout.events.store import Store

    loaded = settings_for("events", "events", config)
    store = Store(loaded.state_folder, storage_of(loaded))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _written(file: Path) -> Iterator[BinaryIO]:
    """Open a file that is written completely or not at all. Raises ExportUnwritable."""
    try:
        with file.open("wb") as output:
            yield output
    except BaseException as error:
        with suppress(OSError):
            if file.is_file():  # not a device
                file.unlink()
        if not isinstance(error, OSError):
            raise
        raise ExportUnwritable(
            f"{file} cannot be written: {error.strerror or error}.", "Choose another place, or free some space."
        ) from error


def store_days(config: Path | None) -> int:
    """Return the setting `events.days`."""
    from lookout.settings.sources import load

    return load({}, config).settings.events.days


def _filter(label: str | None, review: Review | None, begun_from: datetime | None, begun_to: datetime | None) -> Filter:
    from lookout.events.queries import Filter

    return Filter(
        label=label,
        review=None if review is None else review.value,
        after=None if begun_from is None else begun_from.timestamp(),
        until=None if begun_to is None else begun_to.timestamp(),
    )


def _print_json(events: list[Event]) -> None:
    from lookout.events.event import event_view

    for event in events:
        typer.echo(printable_json(event_view(event)))


def _require(found: int, ids: list[int]) -> None:
    """Raise UnknownEvent if none of the events was found."""
    if not found:
        raise UnknownEvent(f"There is no event {ids[0]}.", "`lookout events list` shows them.")


def _checked(text: str, most: int, flag: str, *, may_be_empty: bool = False) -> str:
    text = text.strip()
    if len(text) > most or not text.isprintable() or not (text or may_be_empty):
        raise RequestInvalid(f"{flag} must be a printable text of at most {most} characters.", "Shorten it.")
    return text


def _local(wall: float) -> str:
    try:
        return datetime.fromtimestamp(wall).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError) as error:
        raise LookoutError("An event has no date that a calendar knows.") from error


def _lasted(event: Event) -> str:
    if event.ended is None:
        return "so far"
    return f"{event.ended - event.started:.0f} s"


def _what(event: Event) -> str:
    if event.kind == "seen":
        return event.label or "" if event.right is None else f"{event.label}, really {event.right}"
    words = event.kind.replace("_", " ")
    return f"{words}: {event.called}" if event.called else words


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _marks(event: Event) -> str:
    signs = {"cut": event.cut, "kept": event.kept, "look": event.doubt is not None and event.right is None}
    return " ".join(word for word, holds in signs.items() if holds)

"""Export of events: as a table, or as pictures by label in the layout that training reads. Streamed, never on disk."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from lookout.errors import LookoutError
from lookout.events import queries
from lookout.events.event import Event, event_view
from lookout.events.queries import Filter
from lookout.events.store import Store
from lookout.printable import spreadsheet_text

_COLUMNS = (
    *("id", "view", "kind", "label", "right", "called", "started", "ended", "for_s", "cut", "clock_ok", "probability"),
    *("mean", "frames", "model", "version", "precision", "sampled", "kept", "reviewed_at", "note", "file"),
)
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]')


def walk(store: Store, wanted: Filter) -> Iterator[list[Event]]:
    """Yield all events that match, oldest first, a few hundred at a time. Raises EventsUnavailable."""
    last = 0
    while True:
        events = store.database.read(lambda connection, last=last: queries.strides(connection, wanted, last))  # type: ignore[misc]
        if not events:
            return
        last = events[-1].id
        yield events


def csv_head() -> str:
    return _lines([_COLUMNS])


def csv_rows(events: Sequence[Event]) -> str:
    """Return one line per event, with every text that looks like a formula escaped."""
    return _lines([_row(event) for event in events])


def _row(event: Event) -> list[object]:
    view = {**event_view(event), "file": picture_name(event)}
    model = view["model"] or {}
    assert isinstance(model, dict)
    values = [model.get({"model": "name"}.get(name, name)) if name in _OF_MODEL else view[name] for name in _COLUMNS]
    return [spreadsheet_text(value) if isinstance(value, str) else value for value in values]


_OF_MODEL = frozenset({"model", "version", "precision"})


def _lines(rows: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def picture_name(event: Event) -> str:
    """Return LABEL/ID.jpg, or an empty text if the event has no picture."""
    return f"{folder_name(event.called)}/{event.id}.jpg" if event.picture and event.called else ""


def folder_name(label: str | None) -> str:
    """Return the label as a folder name that is valid on every system."""
    name = _UNSAFE.sub("_", label or "").strip(" .")
    return name or "_"


class _Pipe(io.RawIOBase):
    """Holds what the archive writes until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def zip_parts(store: Store, wanted: Filter) -> Iterator[bytes]:
    """Yield an archive of LABEL/ID.jpg and events.csv, part by part. Each part may wait for the disk.

    LABEL is the corrected label if there is one. Raises EventsUnavailable.
    """
    pipe = _Pipe()
    table = [csv_head()]
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for events in walk(store, wanted):
            table.append(csv_rows(events))
            for event in events:
                if name := picture_name(event):
                    _add_picture(archive, store, event, name)
                    yield pipe.take()
        info = zipfile.ZipInfo("events.csv", _date(datetime.now(UTC).timestamp()))
        info.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(info, "".join(table))
    yield pipe.take()


def _add_picture(archive: zipfile.ZipFile, store: Store, event: Event, name: str) -> None:
    try:
        picture = store.picture(event.id, "jpg")
    except LookoutError:  # deleted in the meantime, or on a damaged part of the disk
        return
    info = zipfile.ZipInfo(name, _date(event.started))
    info.external_attr = 0o644 << 16
    archive.writestr(info, picture)


def _date(wall: float) -> tuple[int, int, int, int, int, int]:
    """Return the time as the ZIP format stores it: UTC, from 1980 on."""
    moment = datetime.fromtimestamp(max(wall, 315_532_800.0), UTC)
    return moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second

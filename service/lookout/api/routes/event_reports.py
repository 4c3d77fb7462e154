"""Reports on events: a day at a glance, how often answers are right, the space on disk; and exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookout.api.compression import packed_json
from lookout.api.context import Services, ServicesDep
from lookout.api.event_schemas import AccuracyResponse, DayResponse, EventStorageResponse
from lookout.api.moments import Day
from lookout.api.problems import errors
from lookout.api.routes.events import READS, FilterDep, reading
from lookout.api.routes.live import SEND_S
from lookout.api.streaming.response import StreamResponse
from lookout.api.streaming.response import Writer as Send
from lookout.errors import LookoutError, RequestInvalid
from lookout.events import export, sampling, summary
from lookout.timestamps import rfc3339

router = APIRouter(tags=["events"])

_TEXT = {"type": "string"}
_BINARY = {"type": "string", "format": "binary"}


class ExportFailed(Exception):
    """The rest cannot be read. The connection is cut, so that a partial export does not pass for a complete one."""


@router.get(
    "/api/events/summary",
    operation_id="get_day",
    summary="A day at a glance",
    response_model=DayResponse,
    responses=errors(*READS),
)
async def get_day(
    request: Request,
    app: ServicesDep,
    day: Annotated[Day | None, Query(description="2026-05-01; without it, today.")] = None,
    zone: Annotated[str, Query(max_length=60, description="Europe/Berlin; without it, the machine's.")] = "",
) -> Response:
    """Counts in all and by hour, and a band of what the service knew at each time. Corrected labels are counted."""
    now = app.history.now()
    asked, begin, end = _bounds(day, zone, now)
    present = summary.Present(app.history.recorder.run, now)
    store = app.history.store
    report = await reading(app, lambda: store.database.read(lambda c: summary.summarise(c, begin, end, present)))
    return packed_json(
        {
            "day": asked.isoformat(),
            "zone": zone,
            "begin": rfc3339(begin),
            "end": rfc3339(end),
            "counts": report.counts,
            "hours": report.hours,
            "band": [_span(span) for span in report.spans],
            "todo": report.todo,
            "oldest": None if report.oldest is None else rfc3339(report.oldest),
            "undo_for_s": store.undo_left_s(),
        },
        request.headers,
    )


def _span(span: summary.Span) -> dict[str, Any]:
    return {
        "begin": rfc3339(span.begin),
        "end": rfc3339(span.end),
        "state": span.state,
        "label": span.label,
        "event": span.first,
    }


def _bounds(day: date | None, zone: str, now: float) -> tuple[date, float, float]:
    """Return the day, and its start and end in Unix seconds. Raises RequestInvalid."""
    there = _zone(zone) if zone else None
    if day is not None and not 1970 <= day.year <= 9000:
        raise RequestInvalid("That day is beyond what a clock shows.", "Name one in this century.")
    try:
        if there is None:
            asked = day or sampling.day_of(now)
            return asked, *sampling.bounds(asked)
        asked = day or datetime.fromtimestamp(now, there).date()
        begin = datetime.combine(asked, time(), there)
        return asked, begin.timestamp(), datetime.combine(asked + timedelta(days=1), time(), there).timestamp()
    except (OverflowError, ValueError, OSError):
        raise RequestInvalid("That day is beyond what a clock shows.", "Name one in this century.") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):
        raise RequestInvalid(
            f'There is no time zone "{name}".', "Name one such as Europe/Berlin, or leave it out."
        ) from None


@router.get(
    "/api/events/accuracy",
    operation_id="get_accuracy",
    summary="How often the answers are right here",
    response_model=AccuracyResponse,
    responses=errors(*READS),
)
async def get_accuracy(app: ServicesDep) -> Response:
    """From the events that were drawn at random and then reviewed. They are drawn once their day is over."""
    report = await reading(app, lambda: app.history.store.database.read(sampling.accuracy))
    labels = {label: {"reviewed": reviewed, "right": right} for label, (reviewed, right) in report.by_label.items()}
    interval = None if report.interval is None else [round(side, 4) for side in report.interval]
    return JSONResponse(
        {
            "reviewed": report.reviewed,
            "right": report.right,
            "interval": interval,
            "waiting": report.waiting,
            "labels": labels,
        }
    )


@router.get(
    "/api/events/storage",
    operation_id="get_event_storage",
    summary="What the events take on disk",
    response_model=EventStorageResponse,
    responses=errors(*READS),
)
async def get_event_storage(app: ServicesDep) -> Response:
    """The space in use, and how long the rest will last at the rate of the last two weeks."""
    history = app.history
    journal = history.recorder.journal
    report = await reading(app, history.forecast)
    return JSONResponse(
        {
            "events": report.events,
            "kept": report.kept,
            "bytes": report.bytes,
            "max_bytes": report.max_bytes,
            "bytes_a_day": report.bytes_a_day,
            "days_left": report.days_left,
            "oldest": None if report.oldest is None else rfc3339(report.oldest),
            "waiting": journal.unwritten,
            "lost": journal.lost,
            "without_picture": journal.without_picture,
        }
    )


# --- exports ----------------------------------------------------------------------------------------------------


class CsvResponse(Response):
    """Names the media type in the API's description."""

    media_type = "text/csv"


class ZipResponse(Response):
    """Names the media type in the API's description."""

    media_type = "application/zip"


@router.get(
    "/api/events.csv",
    operation_id="export_events_csv",
    summary="Events as a table",
    response_class=CsvResponse,
    responses=errors(
        *READS, also={200: {"description": "One line per event.", "content": {"text/csv": {"schema": _TEXT}}}}
    ),
)
async def export_csv(app: ServicesDep, chosen: FilterDep) -> Response:
    """Oldest first, for a spreadsheet. Corrected labels are in `called`."""

    def parts() -> Iterator[bytes]:
        yield export.csv_head().encode()
        for events in export.walk(app.history.store, chosen):
            yield export.csv_rows(events).encode()

    return _download(app, parts, "text/csv; charset=utf-8", "csv")


@router.get(
    "/api/events.zip",
    operation_id="export_events_zip",
    summary="Pictures by label, for training",
    response_class=ZipResponse,
    responses=errors(
        *READS,
        also={
            200: {
                "description": "LABEL/ID.jpg and events.csv; unpacked, `python -m models.training --data` reads it.",
                "content": {"application/zip": {"schema": _BINARY}},
            }
        },
    ),
)
async def export_zip(app: ServicesDep, chosen: FilterDep) -> Response:
    """By corrected label. `review=done` exports only events that were reviewed, which are the ones to train on."""
    return _download(app, lambda: export.zip_parts(app.history.store, chosen), "application/zip", "zip")


def _download(app: Services, parts: Callable[[], Iterator[bytes]], media_type: str, ending: str) -> Response:
    """Return a response that sends the parts as they are read: the whole is never on disk or in memory."""

    async def produce(write: Send) -> None:
        remaining = parts()
        try:
            while not app.stopping.is_set():
                part = await reading(app, lambda: next(remaining, None))
                if part is None:
                    return
                await write(part)
        except LookoutError as error:
            raise ExportFailed("the events cannot be read to their end") from error
        raise ExportFailed("the service stops")

    headers = {
        "Cache-Control": "no-store",
        "Content-Disposition": f'attachment; filename="lookout-events.{ending}"',
        "X-Accel-Buffering": "no",
    }
    return StreamResponse(produce, app.viewers.admit("export"), SEND_S, media_type, headers)

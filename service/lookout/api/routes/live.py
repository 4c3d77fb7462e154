"""The state as it changes: over a WebSocket with pictures, or as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import struct
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, WebSocket
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from lookout.api.context import Services, ServicesDep
from lookout.api.middleware.access import NO_TOKEN, still_admitted, subprotocol
from lookout.api.problems import NotFound, WebSocketNeeded, errors, problem
from lookout.api.streaming.encoder import Jpeg
from lookout.api.streaming.freshness import fresh_frame
from lookout.api.streaming.pacing import MAX_INTERVAL_S, Pace
from lookout.api.streaming.response import StreamResponse, Writer
from lookout.api.streaming.together import until_one_ends
from lookout.errors import LookoutError, NotAuthorised, RequestInvalid, TooBusy
from lookout.events.event import event_view
from lookout.frame import Frame
from lookout.state.hub import Hub
from lookout.state.state import ModelState, State
from lookout.timestamps import rfc3339

log = logging.getLogger(__name__)
router = APIRouter(tags=["live"])

# Clients may treat 2.5 s of silence as a lost connection, so the service sends something well within a second.
HEARTBEAT_S = MAX_INTERVAL_S
# For a client that confirms states, at most this many are in flight: what waits in a slow network's buffers is old.
UNCONFIRMED = 2
# A client that reads nothing for this long is gone, or will never see anything current.
SEND_S = 5.0
DEFAULT_RATE, MIN_RATE, MAX_RATE = 10.0, 1.0, 60.0
MIN_WIDTH, MAX_WIDTH = 16, 4096
# A client that confirms nothing for this long is gone; a slow one confirms several times in that time.
CONFIRM_S = 10.0
_INVALID, _TOO_MANY = 1008, 1013
# What a watcher's network can carry: pictures as requested, smaller ones, or only an occasional one.
Network = Literal["fine", "slow", "too_slow"]


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """What a watcher requested.

    rate: maximum states per second. picture: width in pixels, None for no pictures. confirms: it confirms each state,
    and is notified before each picture. events: it is also sent events that begin, end or are changed.
    """

    rate: float = DEFAULT_RATE
    picture: int | None = None
    confirms: bool = False
    events: bool = False

    @classmethod
    def of(cls, query: Mapping[str, str]) -> LiveQuery:
        """Parse the parameters. Raises RequestInvalid."""
        rate = _number(query, "rate", MIN_RATE, MAX_RATE)
        picture = _number(query, "picture", MIN_WIDTH, MAX_WIDTH)
        return cls(
            DEFAULT_RATE if rate is None else rate,
            None if picture is None else round(picture),
            _flag(query, "confirm"),
            _flag(query, "events"),
        )


def _number(query: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    text = query.get(name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise RequestInvalid(
            f'The parameter "{name}" must be a number between {low:g} and {high:g}.', "Correct it, or leave it out."
        )
    return number


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise RequestInvalid(f'The parameter "{name}" must be true or false.', "Correct it, or leave it out.")
    return text == "true"


@router.websocket("/api/live")
async def live(socket: WebSocket, app: ServicesDep) -> None:
    """States (text) and pictures (binary). The client acknowledges each picture before it gets the next.

    With confirm=true it also confirms each state, with {"type": "seen", "sequence": n}, so that none gets old on a slow
    network; and {"type": "picture", "bytes": n, "network": "fine"} comes before each picture. "slow" there means
    smaller pictures than requested, "too_slow" only an occasional one. A client that takes a while to draw says
    {"type": "got", "sequence": n} when the picture has arrived, and acknowledges it when it is drawn.

    With events=true it is also sent {"type": "event", "what": "begun", "event": {…}}: begun, ended, changed, deleted.
    """
    await socket.accept(subprotocol(socket.scope))
    # A client that leaves, or stops reading, is not worth a log line.
    with contextlib.suppress(WebSocketDisconnect, TimeoutError):
        try:
            query = LiveQuery.of(socket.query_params)
            with app.viewers.admit("live"):
                await _Watcher(socket, app, query).run()
        except LookoutError as error:
            await _refuse(socket, error)


async def _refuse(socket: WebSocket, error: LookoutError) -> None:
    codes = {TooBusy.code: _TOO_MANY, NotAuthorised.code: NO_TOKEN}
    async with asyncio.timeout(SEND_S):
        await socket.send_text(json.dumps(problem(error)))
        await socket.close(codes.get(error.code, _INVALID), error.code)


@router.get("/api/live", include_in_schema=False)
async def live_without_upgrade() -> Response:
    """Responds to clients without WebSocket support, or behind a proxy that drops the upgrade."""
    raise WebSocketNeeded(
        "This address only speaks WebSocket, and the request did not ask for one.",
        "GET /api/live.sse sends the same states over plain HTTP; a proxy in between must forward the Upgrade header.",
    )


async def reject_unknown_path(socket: WebSocket) -> None:
    """Refuse a WebSocket at an unknown path. The framework would respond as if a permission were missing."""
    await socket.accept(subprotocol(socket.scope))
    with contextlib.suppress(WebSocketDisconnect, TimeoutError):
        await _refuse(
            socket, NotFound(f"There is no WebSocket at {socket.url.path}.", "GET /openapi.json lists what is.")
        )


class StateSchedule:
    """When a watcher gets a state: on each change, at most `rate` times per second, and before a second of silence."""

    def __init__(self, hub: Hub, sleep: Callable[[float], Awaitable[None]], rate: float) -> None:
        """sleep: waits for this many seconds, or until the service stops."""
        self._hub = hub
        self._sleep = sleep
        self.interval_s = 1.0 / rate
        self._sequence = -1
        self._sent_at = float("-inf")
        self._model: ModelState | None = None
        self.after_whole = False

    async def next(self) -> State:
        """Return the newest state once it is due. Sets `after_whole`: whether its model is that of the state before."""
        await self._sleep(self._sent_at + self.interval_s - time.monotonic())
        wait_s = max(0.0, HEARTBEAT_S - self.interval_s)
        state = await self._hub.changed(self._sequence, wait_s, seen_at=self._sent_at)
        self._sequence, self._sent_at = state.sequence, time.monotonic()
        self.after_whole = state.model is not None and state.model is self._model
        self._model = state.model
        return state


class _Watcher:
    """One WebSocket. Newest wins: nothing is queued; a slow reader gets fewer states, not older ones."""

    def __init__(self, socket: WebSocket, app: Services, query: LiveQuery) -> None:
        self._socket = socket
        self._app = app
        self._query = query
        self._shown: Frame | None = None
        self._unacknowledged: int | None = None
        self._measured = False  # the client has reported the picture's arrival, and is still drawing it
        self._unconfirmed: list[tuple[int, float]] = []  # sequences, and when they were sent
        self._confirmed = asyncio.Event()
        self._announced: Network = "fine"
        self._pace = Pace()
        self._news = app.history.feed.subscribe(changes=True) if query.events else None

    async def run(self) -> None:
        """Serve the client until it leaves or the service stops. Raises the error that ends it."""
        try:
            await until_one_ends(self._receive_replies(), self._send_states())
        finally:
            if self._news is not None:
                self._news.close()

    async def _receive_replies(self) -> None:
        """Take acknowledgements; anything else that clients of other versions send is ignored."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            kind, sequence = _reply(message.get("text"))
            if kind in ("got", "ack") and sequence is not None and sequence == self._unacknowledged:
                if not self._measured:
                    self._pace.acknowledged(time.monotonic())
                self._measured = kind == "got"
                self._unacknowledged = sequence if kind == "got" else None
            elif kind == "seen":
                self._confirm(sequence)

    def _confirm(self, sequence: int | None) -> None:
        """Note that a state has arrived. States arrive in order, so those before it have arrived, too."""
        for i, (sent, at) in enumerate(self._unconfirmed):
            if sent == sequence:
                del self._unconfirmed[: i + 1]
                self._pace.confirmed(time.monotonic() - at)
                self._confirmed.set()
                return

    async def _send_states(self) -> None:
        requested_s = 1.0 / self._query.rate
        schedule = StateSchedule(self._app.hub, self._app.sleep, self._query.rate)
        while not self._app.stopping.is_set():
            await self._wait_until_confirmed()
            state = await schedule.next()
            if not still_admitted(self._socket):
                raise NotAuthorised("The token was revoked.", "Log in with another one.")
            text = self._app.text(state, after_whole=schedule.after_whole)
            if self._query.confirms:
                self._unconfirmed.append((state.sequence, time.monotonic()))
                schedule.interval_s = self._pace.interval_s(len(text), requested_s)
            await self._send(text=text)
            await self._send_news()
            await self._send_picture(state)

    async def _wait_until_confirmed(self) -> None:
        """Wait until another state may be in flight. Raises TimeoutError if the client stops confirming."""
        deadline = time.monotonic() + CONFIRM_S
        while len(self._unconfirmed) >= UNCONFIRMED and not self._app.stopping.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError
            self._confirmed.clear()
            with contextlib.suppress(TimeoutError):  # check for a stop twice a second
                async with asyncio.timeout(0.5):
                    await self._confirmed.wait()

    async def _send_news(self) -> None:
        """Send news of events after the state that they follow from, or else with the next one, within a second."""
        for news in self._news.take() if self._news is not None else ():
            message = {"type": "event", "what": news.what, "event": event_view(news.event)}
            await self._send(text=json.dumps(message, ensure_ascii=False, separators=(",", ":")))

    async def _send_picture(self, state: State) -> None:
        """Send the state's own picture, unless the client is still drawing the last one or there is nothing new."""
        frame = fresh_frame(state, time.monotonic())
        if self._query.picture is None or self._unacknowledged is not None or frame in (None, self._shown):
            return
        assert frame is not None
        if not self._pace.is_due(time.monotonic()):
            await self._announce(0, "too_slow")
            return
        jpeg = await self._fit_to_network(frame, self._query.picture)
        await self._announce(len(jpeg.data), self._network())
        self._shown, self._unacknowledged = frame, state.sequence
        header = {
            "frame_id": frame.sequence,
            "sequence": state.sequence,
            "captured_at": rfc3339(time.time() - (time.monotonic() - frame.captured_at)),
            "width": jpeg.width,
            "height": jpeg.height,
        }
        packed = json.dumps(header).encode()
        self._pace.sent(len(jpeg.data), time.monotonic())
        await self._send(data=struct.pack(">I", len(packed)) + packed + jpeg.data)

    async def _fit_to_network(self, frame: Frame, width: int) -> Jpeg:
        """Return a picture as large as the client requested and its network allows."""
        width = min(width, frame.width)
        while True:
            jpeg = await self._app.encoder.frame(frame, max(MIN_WIDTH, round(width * self._pace.share)))
            if self._pace.fits(len(jpeg.data)):
                return jpeg
            self._pace.smaller_than(len(jpeg.data))

    def _network(self) -> Network:
        if self._pace.too_slow:
            return "too_slow"
        return "slow" if self._pace.slow else "fine"

    async def _announce(self, size: int, network: Network) -> None:
        """Announce that a picture of this many bytes comes next, which may take a while; 0: none comes."""
        if self._query.confirms and (size or network != self._announced):
            self._announced = network
            await self._send(text=json.dumps({"type": "picture", "bytes": size, "network": network}))

    async def _send(self, *, text: str | None = None, data: bytes | None = None) -> None:
        """Send one message. Raises TimeoutError if the client does not read what was sent before."""
        async with asyncio.timeout(SEND_S):
            if text is not None:
                await self._socket.send_text(text)
            if data is not None:
                await self._socket.send_bytes(data)


def _reply(text: str | None) -> tuple[str, int | None]:
    """Return type and sequence of {"type": "ack", "sequence": n}; an empty type for anything else."""
    try:
        message = json.loads(text or "null")
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "", None
    sequence = message.get("sequence")
    return message["type"], sequence if isinstance(sequence, int) else None


# --- server-sent events -----------------------------------------------------------------------------------------


class _EventStream(Response):
    """Only names the media type in the API's description."""

    media_type = "text/event-stream"


@router.get(
    "/api/live.sse",
    operation_id="watch_state",
    summary="The states as server-sent events",
    response_class=_EventStream,
    responses=errors(
        RequestInvalid,
        TooBusy,
        also={
            200: {
                "description": "An endless stream; the data of each event is a state.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    ),
)
async def events(
    request: Request,
    app: ServicesDep,
    rate: Annotated[float, Query(ge=MIN_RATE, le=MAX_RATE, description="Maximum states per second.")] = DEFAULT_RATE,
) -> Response:
    """For curl and simple clients. `id` is instance and sequence; no history is sent, a new connection starts now."""

    async def speak(write: Writer) -> None:
        schedule = StateSchedule(app.hub, app.sleep, rate)
        await write(b"retry: 1000\n\n")
        while not app.stopping.is_set() and still_admitted(request):
            state = await schedule.next()
            await write(f"id: {state.instance}-{state.sequence}\ndata: {app.text(state)}\n\n".encode())

    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamResponse(speak, app.viewers.admit("events"), SEND_S, "text/event-stream; charset=utf-8", headers)

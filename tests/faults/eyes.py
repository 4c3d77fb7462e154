"""What users see: the four ways of looking at a service, each watched all the time by a thread of its own.

A look is called *fresh* when a viewer takes what is shown for now. Fresh looks must carry a capture time that is.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import websockets.exceptions
import websockets.sync.client

from tests.faults.running import NOTICE_S, RECOVER_S, Service

INTERFACES = ("REST", "WebSocket", "MJPEG", "snapshot")
# A WebSocket that says nothing for that long is a lost connection, and clients show it as one.
SILENCE_S = 2.5
_POLL_S = 0.1
# The longest that an attempt to open a camera takes, one that has opened before.
_ATTEMPT_S = 10.0
# One classification interval, and the way from the service's judgement to our clock on a busy machine.
_SLACK_S = 0.1 + 0.5


@dataclass(frozen=True)
class Glance:
    """at: monotonic seconds. fresh: shown as of now. age_s: of the picture or prediction shown, if it says."""

    at: float
    fresh: bool
    words: str
    age_s: float | None = None


class Eyes:
    """Watches a service over all interfaces from `__enter__` to `__exit__`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stale_after_s = float(service.state()["stale_after_s"])
        self._stop = threading.Event()
        self.looks: dict[str, list[Glance]] = {name: [] for name in INTERFACES}
        self.states: list[tuple[float, dict[str, Any]]] = []
        watch: tuple[Callable[[], None], ...] = (self._rest, self._websocket, self._mjpeg, self._snapshot)
        self._threads = [threading.Thread(target=self._again, args=(look,), daemon=True) for look in watch]

    def __enter__(self) -> Eyes:
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + 30
        while not all(any(look.fresh for look in looks) for looks in self.looks.values()):
            assert time.monotonic() < deadline, f"not every interface shows a picture: {self.looks}"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(8)

    # --- judging ------------------------------------------------------------------------------------------------

    def noticed(self, since: float) -> dict[str, float | None]:
        """Seconds from `since` until each interface first showed that what it has is not of now; None: it never did."""
        return {
            name: next((look.at - since for look in looks if look.at >= since and not look.fresh), None)
            for name, looks in self._looks()
        }

    def fresh_again(self, since: float) -> dict[str, float | None]:
        """Seconds from `since` until the first fresh look on each interface."""
        return {
            name: next((look.at - since for look in looks if look.at >= since and look.fresh), None)
            for name, looks in self._looks()
        }

    def until_fresh(self, back: float) -> None:
        """Wait until all interfaces answer again: 3 s after `back` at the latest, plus the pause that the state says.

        An attempt to open that was under way at `back` cannot know that the source is back: the time counts from its
        end. How long it may take follows from how long opening takes on this machine.
        """
        while missing := [name for name, after in self.fresh_again(back).items() if after is None]:
            since = [state["camera"]["retry_in_s"] for at, state in list(self.states) if at >= back - 0.5]
            pause = max((seconds or 0.0 for seconds in since), default=0.0)
            late = time.monotonic() - back
            assert late <= self._attempt_under_way(back) + RECOVER_S + pause, (
                f"{missing} not fresh {late:.1f} s later: {self._service.state()['camera']}"
            )
            time.sleep(0.02)

    def _attempt_under_way(self, back: float) -> float:
        """Seconds after `back` at which an attempt that had begun before was seen to be under way for the last time."""
        until = 0.0
        for at, state in list(self.states):
            if at >= back:
                if state["camera"]["retry_in_s"] != 0.0:
                    break
                until = at - back
        return min(until, _ATTEMPT_S)

    def assert_told(self, since: float, back: float) -> None:
        """On every interface, within the contract's time, and until the source is back."""
        for name, after in self.noticed(since).items():
            assert after is not None, f"{name} never said so"
            assert after <= NOTICE_S, f"{name} said so after {after:.2f} s"
        for name, looks in self._looks():
            lies = [look for look in looks if since + NOTICE_S < look.at < back and look.fresh]
            assert not lies, f"{name} shows as of now what is not: {lies[0]}"

    def assert_truthful(self) -> None:
        """Whatever was shown as of now was of now."""
        for name, looks in self._looks():
            for look in looks:
                if look.fresh and look.age_s is not None:
                    assert look.age_s <= self._stale_after_s + _SLACK_S, f"{name} shows as of now what is old: {look}"

    def _looks(self) -> list[tuple[str, list[Glance]]]:
        return [(name, list(looks)) for name, looks in self.looks.items()]

    # --- looking ------------------------------------------------------------------------------------------------

    def _again(self, look: Callable[[], None]) -> None:
        """A client that connects again whenever it is cut off."""
        while not self._stop.is_set():
            with contextlib.suppress(OSError, http.client.HTTPException, websockets.exceptions.WebSocketException):
                look()
            self._stop.wait(_POLL_S)

    def _saw(self, name: str, fresh: bool, words: str, age_s: float | None = None) -> None:
        self.looks[name].append(Glance(time.monotonic(), fresh, words, age_s))

    def _saw_state(self, name: str, state: dict[str, Any]) -> None:
        fresh = state["status"] == "ok" and state["answer"]["current"]
        assert not (state["answer"]["current"] and state["status"] != "ok"), state
        age_ms = state["prediction"]["age_ms"] if state["prediction"] else None
        words = f"{state['status']}, {state['camera']['status']}"
        self._saw(name, fresh, words, None if age_ms is None else age_ms / 1000)

    def _rest(self) -> None:
        try:
            state = self._service.state()
        except OSError:
            self._saw("REST", False, "no connection")
            raise
        self.states.append((time.monotonic(), state))
        self._saw_state("REST", state)

    def _snapshot(self) -> None:
        try:
            status, headers, _ = self._service.request("GET", "/api/snapshot.jpg?width=64")
        except OSError:
            self._saw("snapshot", False, "no connection")
            raise
        stale = status != 200 or headers.get("x-lookout-stale") == "1"
        age = None if status != 200 else time.time() - float(headers["x-timestamp"])
        self._saw("snapshot", not stale, f"{status}{' stale' if stale and status == 200 else ''}", age)

    def _websocket(self) -> None:
        address = f"ws://127.0.0.1:{self._service.port}/api/live"
        try:
            with websockets.sync.client.connect(address, close_timeout=0.1) as socket:
                while not self._stop.is_set():
                    self._saw_state("WebSocket", json.loads(socket.recv(timeout=SILENCE_S)))
        except (OSError, TimeoutError, websockets.exceptions.WebSocketException):
            self._saw("WebSocket", False, "connection lost")
            raise

    def _mjpeg(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._service.port, timeout=SILENCE_S)
        try:
            connection.request("GET", "/api/stream.mjpg?width=64&fps=10")
            answer = connection.getresponse()
            for headers in _parts(answer):
                if self._stop.is_set():
                    return
                stale = headers.get("x-lookout-stale") == "1"
                age = None if stale else time.time() - float(headers["x-timestamp"])
                self._saw("MJPEG", not stale, "placeholder" if stale else "picture", age)
            raise ConnectionError
        except OSError:
            self._saw("MJPEG", False, "connection lost")
            raise
        finally:
            connection.close()


def _parts(answer: http.client.HTTPResponse) -> Iterator[dict[str, str]]:
    """The headers of each part of a multipart stream, once its picture has arrived."""
    while True:
        headers: dict[str, str] = {}
        while True:
            line = answer.readline()
            if not line:
                return
            name, colon, value = line.decode("latin-1").strip().partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
            elif headers:
                break
        if len(answer.read(int(headers["content-length"]))) < int(headers["content-length"]):
            return
        yield headers

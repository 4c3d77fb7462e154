"""Messages to be sent: only the newest value of each retained topic, and a short queue of events."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

MAX_EVENTS = 100


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: bytes
    retain: bool = True


class Outbox:
    """Filled on the event loop, emptied by the sending thread. Bounded by the number of topics and `MAX_EVENTS`."""

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """wake: called after something was added; may be called on any thread."""
        self._lock = threading.Lock()
        self._wake = wake
        self._newest: dict[str, bytes] = {}
        self._due: dict[str, None] = {}  # in the order in which they became due
        self._events: deque[Message] = deque(maxlen=MAX_EVENTS)
        self.lost = 0

    def put(self, topic: str, payload: bytes) -> None:
        """Set the topic's value; it is sent unless it is unchanged."""
        with self._lock:
            if self._newest.get(topic) == payload:
                return
            self._newest[topic] = payload
            self._due.setdefault(topic)
        self._wake()

    def put_event(self, topic: str, payload: bytes) -> None:
        """Queue an event to be sent once, in order. Of more than `MAX_EVENTS` the oldest are dropped."""
        with self._lock:
            self.lost += len(self._events) == MAX_EVENTS
            self._events.append(Message(topic, payload, retain=False))
        self._wake()

    def forget(self, topic: str) -> None:
        """The topic no longer exists: clear the value that the broker retains."""
        with self._lock:
            if topic not in self._newest:
                return
        self.put(topic, b"")

    def again(self, topic: str | None = None) -> None:
        """Send the topic's value again, or the values of all topics."""
        with self._lock:
            for each in list(self._newest) if topic is None else [topic]:
                if each in self._newest:
                    self._due.setdefault(each)
        self._wake()

    def next(self) -> Message | None:
        """Return the next message, None if there is none. Values go before events, because events refer to them."""
        with self._lock:
            if self._due:
                topic = next(iter(self._due))
                del self._due[topic]
                payload = self._newest[topic]
                if not payload:
                    del self._newest[topic]
                return Message(topic, payload)
            return self._events.popleft() if self._events else None

    def put_back(self, message: Message) -> None:
        """Return a message that was not sent. A value is sent on the next connection anyway, perhaps a newer one."""
        with self._lock:
            if not message.retain and len(self._events) < MAX_EVENTS:
                self._events.appendleft(message)
            elif message.retain and not message.payload:
                self._newest.setdefault(message.topic, b"")

    @property
    def topics(self) -> list[str]:
        with self._lock:
            return list(self._newest)

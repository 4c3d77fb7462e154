"""News of events for any subscriber, on any thread: bounded, and never waited for."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from lookout.events.event import Event

# Of somebody seen both begun and ended come; what happens at once, such as a camera that is lost, comes as ended.
# begun: it has lasted `events.min_s`. ended: it is over and counted. changed: somebody marked it. deleted: it is gone.
What = Literal["begun", "ended", "changed", "deleted"]
# An hour of a busy day; a subscriber that takes none for this long gets the newest.
DEFAULT_BOUND = 256


@dataclass(frozen=True, slots=True)
class News:
    """What became of an event. picture: its best frame so far as JPEG, where pictures are kept of it."""

    what: What
    event: Event
    picture: bytes | None = None


class Subscription:
    """One reader's news, oldest first. When `most` wait, the oldest is lost, and counted in `lost`."""

    def __init__(self, feed: Feed, most: int, changes: bool) -> None:
        self._feed = feed
        self._news: deque[News] = deque()
        self._most = most
        self._changes = changes
        self._arrived = threading.Condition()
        self._closed = False
        self.lost = 0

    def take(self, timeout_s: float = 0.0) -> list[News]:
        """All that wait; waits up to `timeout_s` for the first, and not at all once it is closed."""
        with self._arrived:
            if not self._news and not self._closed and timeout_s > 0:
                self._arrived.wait(timeout_s)
            news = list(self._news)
            self._news.clear()
            return news

    def close(self) -> None:
        """No more news; releases subscribers that wait. Safe to call twice."""
        self._feed.drop(self)
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def put(self, news: News) -> None:
        """Never blocks for longer than a reader takes to empty the queue."""
        if news.what in ("changed", "deleted") and not self._changes:
            return
        with self._arrived:
            if len(self._news) >= self._most:
                self._news.popleft()
                self.lost += 1
            self._news.append(news)
            self._arrived.notify()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Feed:
    """Hands each piece of news to every subscription. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []

    def subscribe(self, most: int = DEFAULT_BOUND, *, changes: bool = False) -> Subscription:
        """News from now on. most: how many may wait. changes: marks and deletions as well, not begun and ended only."""
        subscription = Subscription(self, most, changes)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def drop(self, subscription: Subscription) -> None:
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    @property
    def is_watched(self) -> bool:
        """Whether anybody subscribes: a picture that nobody takes need not be made."""
        with self._lock:
            return bool(self._subscriptions)

    def publish(self, news: News) -> None:
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.put(news)

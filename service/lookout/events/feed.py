"""News about events for any number of subscribers on any thread: bounded, and the publisher never waits."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from lookout.events.event import Event

# A visit sends both begun and ended; something that happens at once, such as a lost camera, sends only ended.
# begun: it has lasted `events.min_s`. ended: it is over and counted. changed: it was marked. deleted: it was deleted.
What = Literal["begun", "ended", "changed", "deleted"]
# An hour of a busy day; a subscriber that takes nothing for longer keeps only the newest.
DEFAULT_BOUND = 256


@dataclass(frozen=True, slots=True)
class News:
    """What happened to an event. picture: its best frame so far as JPEG, if pictures of it are kept."""

    what: What
    event: Event
    picture: bytes | None = None


class Subscription:
    """One subscriber's queue, oldest first. When it holds `most`, the oldest is dropped and counted in `lost`."""

    def __init__(self, feed: Feed, most: int, changes: bool) -> None:
        self._feed = feed
        self._news: deque[News] = deque()
        self._most = most
        self._changes = changes
        self._arrived = threading.Condition()
        self._closed = False
        self.lost = 0

    def take(self, timeout_s: float = 0.0) -> list[News]:
        """Return everything queued; wait up to `timeout_s` for the first, but not if the subscription is closed."""
        with self._arrived:
            if not self._news and not self._closed and timeout_s > 0:
                self._arrived.wait(timeout_s)
            news = list(self._news)
            self._news.clear()
            return news

    def close(self) -> None:
        """Stop receiving news and release a thread that waits in `take`. Safe to call twice."""
        self._feed.drop(self)
        with self._arrived:
            self._closed = True
            self._arrived.notify_all()

    def put(self, news: News) -> None:
        """Queue the news. Blocks no longer than a subscriber takes to empty the queue."""
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
    """Hands each piece of news to every subscriber. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []

    def subscribe(self, most: int = DEFAULT_BOUND, *, changes: bool = False) -> Subscription:
        """Subscribe from now on. most: queue bound. changes: also marks and deletions, not just begun and ended."""
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
        """Whether there is a subscriber: without one, a picture need not be encoded."""
        with self._lock:
            return bool(self._subscriptions)

    def publish(self, news: News) -> None:
        with self._lock:
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.put(news)

"""The history of what was seen, as the service holds it: the store, the feed, and what people do with both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lookout.events.event import Event
from lookout.events.feed import Feed, News, What
from lookout.events.store import Store, Undone
from lookout.settings.schema import EventsSettings


class History:
    """What the API and integrations are handed. Methods that change something may wait for the disk."""

    def __init__(self, store: Store, settings: Callable[[], EventsSettings]) -> None:
        """settings: those in force."""
        self.store = store
        self.feed = Feed()
        self._settings = settings

    @property
    def settings(self) -> EventsSettings:
        return self._settings()

    def mark(self, ids: Sequence[int], values: Mapping[str, Any], *, one: bool = False) -> list[Event]:
        """See `Store.mark`."""
        return self._tell("changed", self.store.mark(ids, values, one=one))

    def delete(self, ids: Sequence[int], *, one: bool = False) -> list[Event]:
        """See `Store.delete`."""
        return self._tell("deleted", self.store.delete(ids, one=one))

    def undo(self) -> Undone:
        """See `Store.undo`."""
        undone = self.store.undo()
        self._tell("changed", undone.events)
        return undone

    def _tell(self, what: What, events: list[Event]) -> list[Event]:
        for event in events:
            self.feed.publish(News(what, event))
        return events

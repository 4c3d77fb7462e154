"""The diary as the service holds it: the store, the feed, and the changes that concern both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lookout.errors import LookoutError
from lookout.events import retention
from lookout.events.caretaker import Caretaker
from lookout.events.event import Event
from lookout.events.feed import Feed, News, What
from lookout.events.journal import Embed
from lookout.events.recorder import Recorder
from lookout.events.retention import Forecast
from lookout.events.store import Store, Undone
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.storage import Storage


class History:
    """What the API and the integrations use. Methods that change something may wait for the disk."""

    def __init__(
        self,
        state_folder: Path,
        storage: Storage,
        hub: Hub,
        settings: Callable[[], Settings],
        embed: Embed | None = None,
    ) -> None:
        """settings: returns the settings in force. embed: computes the network's description of a picture."""
        self.store = Store(state_folder, storage)
        self.feed = Feed()
        self.recorder = Recorder(hub, self.store, self.feed, settings, embed)
        self.caretaker = Caretaker(self.store, self.recorder, settings)

    def start(self) -> None:
        """Start recording."""
        self.recorder.start(self.caretaker.idle)

    def stop(self) -> bool:
        """End the events in progress. Returns whether everything is on disk."""
        return self.recorder.stop()

    def trouble(self) -> LookoutError | None:
        """Why less is kept than the settings ask for; None if everything is kept."""
        return self.recorder.journal.trouble()

    def forecast(self) -> Forecast:
        """Disk usage of the events and how long the space will last. Reads the disk; raises EventsUnavailable."""
        limits = self.caretaker.limits()
        return self.store.database.read(lambda connection: retention.forecast(connection, limits))

    def now(self) -> float:
        """Unix seconds, by the clock that the events use."""
        return self.recorder.now()

    def miss(self, right: str) -> Event:
        """See `Recorder.miss`."""
        return self.recorder.miss(right).event()

    def mark(self, ids: Sequence[int], values: Mapping[str, Any], *, one: bool = False) -> list[Event]:
        """See `Store.mark`."""
        return self._publish("changed", self.store.mark(ids, values, one=one))

    def delete(self, ids: Sequence[int], *, one: bool = False) -> list[Event]:
        """See `Store.delete`."""
        return self._publish("deleted", self.store.delete(ids, one=one))

    def undo(self) -> Undone:
        """See `Store.undo`."""
        undone = self.store.undo()
        self._publish("changed", undone.events)
        return undone

    def _publish(self, what: What, events: list[Event]) -> list[Event]:
        for event in events:
            self.feed.publish(News(what, event))
        return events

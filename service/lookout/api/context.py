"""What the endpoints share, wired once by the factory."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, TypeVar

from fastapi import Depends
from starlette.requests import HTTPConnection

from lookout.api.feature_map_requests import FeatureMapRequests
from lookout.api.inference.statistics import Inferences
from lookout.api.streaming.encoder import Encoder
from lookout.api.streaming.viewers import Viewers
from lookout.api.uploads import Uploads
from lookout.auth.admission import Admission
from lookout.auth.tokens import TokenStore
from lookout.engine.camera_list import CameraList
from lookout.engine.control import Control
from lookout.engine.worker import Engine
from lookout.errors import TooBusy
from lookout.events.history import History
from lookout.integrations.running import Integrations
from lookout.state.brief import MANY_LABELS, brief
from lookout.state.hub import Hub
from lookout.state.state import State
from lookout.state.view import StateView, view
from lookout.system.threads import start_pool

T = TypeVar("T")

# For this many seconds, all watchers of a state share one serialised text: fifty of them request it at once.
_SAME_TEXT_S = 0.01
# Calls come from people pressing buttons; a longer queue than this has another cause.
_WAITING = 16


class BoundedExecutor:
    """A thread pool for blocking work, with a bounded queue."""

    def __init__(self, threads: int, name: str) -> None:
        self._pool = start_pool(threads, name)
        self._room = threads + _WAITING

    async def run(self, work: Callable[[], T]) -> T:
        """Run the work on a thread and return its result. Raises TooBusy when the queue is full.

        Work that was accepted runs to its end, even if its caller is cancelled.
        """
        if self._room <= 0:
            raise TooBusy("Too many requests at once.", "Try again in a moment.")
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        self._room -= 1
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def _done(self, _: object) -> None:
        self._room += 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class Services:
    """The application's parts.

    changes: for changes that the worker carries out, which may take seconds; several threads, so that a second change
    of model is refused at once. pauses: for pauses, which must not wait for other changes. files: for reading from
    disk. diary, edits: for reading and changing events. dashboard: the version of the dashboard's files.
    """

    engine: Engine
    hub: Hub
    control: Control
    tokens: TokenStore
    admission: Admission
    encoder: Encoder
    uploads: Uploads
    history: History
    dashboard: str = ""
    viewers: Viewers = field(default_factory=Viewers)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    changes: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(4, "changes"))
    pauses: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(2, "pauses"))
    files: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(1, "files"))
    diary: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(3, "events"))
    edits: BoundedExecutor = field(default_factory=lambda: BoundedExecutor(1, "edits"))
    feature_map_requests: FeatureMapRequests = field(default_factory=FeatureMapRequests)
    cameras: CameraList = field(default_factory=CameraList)
    inferences: Inferences = field(default_factory=Inferences)
    integrations: Integrations = field(default_factory=Integrations)
    _last_text: dict[bool, tuple[State, float, str]] = field(default_factory=dict)

    def view(self, state: State | None = None) -> StateView:
        """Return the view of a state (by default the newest) at the current time."""
        return view(state or self.hub.latest(), time.monotonic(), time.time(), self.hub.system)

    def text(self, state: State, *, after_whole: bool = False) -> str:
        """Return the view as JSON.

        after_whole: the watcher was already sent a complete view of the model in use, so if the model has many labels,
        only the likeliest are listed.
        """
        now = time.monotonic()
        short = after_whole and state.model is not None and len(state.model.labels) > MANY_LABELS
        last = self._last_text.get(short)
        if last is None or last[0] is not state or now - last[1] > _SAME_TEXT_S:
            view = self.view(state)
            text = json.dumps(brief(view) if short else view, ensure_ascii=False, separators=(",", ":"))
            self._last_text[short] = last = (state, now, text)
        return last[2]

    async def sleep(self, seconds: float) -> None:
        """Sleep for this many seconds, or until the service stops."""
        if seconds > 0 and not self.stopping.is_set():
            try:
                async with asyncio.timeout(seconds):
                    await self.stopping.wait()
            except TimeoutError:
                pass

    def close(self) -> None:
        self.encoder.close()
        self.uploads.close()
        self.changes.close()
        self.pauses.close()
        self.files.close()
        self.diary.close()
        self.edits.close()
        self.feature_map_requests.close()


async def services(connection: HTTPConnection) -> Services:
    """Return the application's services. Async, because the framework would run a plain function on a thread."""
    found = connection.app.state.services
    assert isinstance(found, Services)
    return found


ServicesDep = Annotated[Services, Depends(services)]

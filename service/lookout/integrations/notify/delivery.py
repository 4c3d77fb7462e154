"""Delivery of notices: one queue per target, stored on disk until each notice has arrived. Time is passed in."""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lookout.errors import LookoutError
from lookout.integrations.notify.notice import Notice
from lookout.integrations.notify.targets import ReceiverGone, Target
from lookout.storage import Storage
from lookout.system.regular_files import read_regular

log = logging.getLogger(__name__)

MIN_PAUSE_S, MAX_PAUSE_S, GIVE_UP_S = 1.0, 3600.0, 24 * 3600.0
# Together at most 8 MiB on disk.
MAX_KEPT, _MAX_FILE_BYTES = 1000, 8 * 1024


@dataclass(slots=True)
class Queue:
    """The queue of one target. After a failure the target is not tried for a while, whatever is queued."""

    target: Target
    waiting: deque[tuple[Notice, float]] = field(default_factory=deque)  # each with the time at which it was queued
    next_at: float = float("-inf")
    pause_s: float = MIN_PAUSE_S
    off: bool = False
    trouble: LookoutError | None = None
    delivered: int = 0
    lost: int = 0


class Delivery:
    """Call `add` from any thread, `step` only from the sending thread."""

    def __init__(self, targets: Mapping[str, Target], folder: Path, storage: Storage) -> None:
        """folder: stores queued notices, one small file per notice and target."""
        self.queues = {name: Queue(target, trouble=_known_error(target)) for name, target in targets.items()}
        self._folder, self._storage = folder, storage
        self._lock = threading.Lock()

    def load(self, now: float) -> None:
        """Queue the notices that an earlier run left on disk. May wait for the disk."""
        for path in sorted(self._folder.glob("*.json"))[:MAX_KEPT]:
            try:
                kept = json.loads(read_regular(path, _MAX_FILE_BYTES))
                queue = self.queues.get(kept["target"])
                notice = Notice(**kept["notice"])
            except (OSError, ValueError, KeyError, TypeError):
                log.warning("%s does not contain a notice and is ignored.", path)
                continue
            if queue is not None and queue.target.is_kept:
                queue.waiting.append((notice, now))

    def add(self, notice: Notice, names: list[str], now: float) -> None:
        """Queue the notice for each target. When too many are queued, the oldest are dropped."""
        for name in names:
            queue = self.queues[name]
            if queue.off:
                continue
            with self._lock:
                queue.waiting.append((notice, now))
                overdue = self._drop_excess()
            if queue.target.is_kept:
                self._keep(name, notice)
            for other, lost in overdue:
                self._forget(other, lost)

    def step(self, now: float) -> float:
        """Send what is due. Returns when, in monotonic seconds, something will be due again."""
        for name, queue in self.queues.items():
            while queue.waiting and not queue.off and now >= queue.next_at:
                self._attempt(name, queue, now)
        waiting = [queue.next_at for queue in self.queues.values() if queue.waiting and not queue.off]
        return min(waiting, default=float("inf"))

    def _attempt(self, name: str, queue: Queue, now: float) -> None:
        notice, taken = queue.waiting[0]
        try:
            queue.target.send(notice)
        except LookoutError as error:
            self._failed(name, queue, error, now - taken, now)
            return
        queue.trouble, queue.pause_s, queue.next_at = None, MIN_PAUSE_S, float("-inf")
        queue.delivered += 1
        self._done(name, queue, notice)

    def _failed(self, name: str, queue: Queue, error: LookoutError, age_s: float, now: float) -> None:
        if queue.trouble is None or queue.trouble.detail != error.detail:
            log.warning("A notice to %s did not arrive. %s", name, error)
        queue.trouble = error
        queue.off = isinstance(error, ReceiverGone)
        if queue.off or not queue.target.is_kept or age_s >= GIVE_UP_S:
            queue.lost += 1
            self._done(name, queue, queue.waiting[0][0])
        else:
            queue.next_at = now + queue.pause_s
            queue.pause_s = min(2 * queue.pause_s, MAX_PAUSE_S)

    def _done(self, name: str, queue: Queue, notice: Notice) -> None:
        with self._lock:
            if queue.waiting and queue.waiting[0][0] is notice:
                queue.waiting.popleft()
        if queue.target.is_kept:
            self._forget(name, notice)

    def _drop_excess(self) -> list[tuple[str, Notice]]:
        """Drop and return notices beyond the limit, oldest first, from the longest queue. The lock is held."""
        lost = []
        while sum(len(queue.waiting) for queue in self.queues.values()) > MAX_KEPT:
            name, queue = max(self.queues.items(), key=lambda item: len(item[1].waiting))
            lost.append((name, queue.waiting.popleft()[0]))
            queue.lost += 1
        return lost

    # --- on disk ------------------------------------------------------------------------------------------------------

    def _path(self, name: str, notice: Notice) -> Path:
        return self._folder / f"{name}-{notice.id}.json"

    def _keep(self, name: str, notice: Notice) -> None:
        content = json.dumps({"target": name, "notice": notice.data()}, ensure_ascii=False).encode()
        path = self._path(name, notice)
        if len(content) > _MAX_FILE_BYTES:
            return
        self._storage.later(lambda writer: writer.replace(path, content), "a notice that waits to be sent")

    def _forget(self, name: str, notice: Notice) -> None:
        path = self._path(name, notice)
        self._storage.later(lambda writer: writer.remove(path), "that a notice was sent")


def _known_error(target: Target) -> LookoutError | None:
    """Return the error if the target is already known to be unusable."""
    try:
        target.check()
    except LookoutError as error:
        return error
    return None

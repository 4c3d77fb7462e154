"""Notices as an integration: one thread follows events and states, another sends."""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from lookout.errors import RequestInvalid
from lookout.events.feed import Subscription
from lookout.integrations.interface import IntegrationStatus, Parts
from lookout.integrations.notify.delivery import Delivery
from lookout.integrations.notify.links import Link, Links
from lookout.integrations.notify.notice import Notice, trial
from lookout.integrations.notify.rules import Moment, Rules
from lookout.integrations.notify.targets import target_of
from lookout.state.view import view
from lookout.system.regular_files import read_regular
from lookout.timestamps import rfc3339

log = logging.getLogger(__name__)

_LOOK_S = 0.5
# Write the rules' state to disk at most this often, to spare the SD card.
_SAVE_S = 5.0
_MAX_FILE_BYTES = 256 * 1024
_MAX_LOG = 100
_END_S = 0.5

T = TypeVar("T")


class Notify:
    name = "notify"

    def __init__(self, parts: Parts) -> None:
        loaded = parts.control.loaded
        self._parts, self._settings = parts, loaded.settings.notify
        self._folder: Path = loaded.state_folder / "notify"
        self._since = time.monotonic()
        self._lock = threading.Lock()  # guards the rules
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self.log: deque[Notice] = deque(maxlen=_MAX_LOG)
        self._links = Links(parts.address, self._settings.links_h * 3600)
        device = loaded.settings.server.name
        self.rules = Rules(self._settings.rules, parts.address, self._send, self._links, device)
        targets = {name: target_of(one, parts.address) for name, one in self._settings.targets.items()}
        self.delivery = Delivery(targets, self._folder / "outbox", parts.storage)
        self._news: Subscription | None = None
        self._threads = [
            threading.Thread(target=self._follow, name="notices", daemon=True),
            threading.Thread(target=self._deliver, name="deliveries", daemon=True),
        ]

    def status(self) -> IntegrationStatus:
        for name, queue in self.delivery.queues.items():
            if queue.trouble is not None:
                reason = f"Notices to {name} do not arrive. {queue.trouble.detail}"
                return IntegrationStatus("failed", self._since, queue.trouble.code, reason, queue.trouble.remedy)
        return IntegrationStatus("ok", self._since)

    async def start(self) -> None:
        self._news = self._parts.feed.subscribe()
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        if self._news is not None:
            self._news.close()
        until = time.monotonic() + _END_S
        while any(thread.is_alive() for thread in self._threads) and time.monotonic() < until:
            await asyncio.sleep(0.01)
        for queue in self.delivery.queues.values():
            queue.target.close()

    # --- for the API, any thread --------------------------------------------------------------------------------------

    def snooze(self, rule: str, for_s: float) -> None:
        """Silence a rule, across restarts. rule: a name, or all. Raises RequestInvalid, StateFolderUnusable."""
        with self._lock:
            try:
                self.rules.snooze(rule, for_s, _now())
            except KeyError:
                raise RequestInvalid(f'There is no rule "{rule}".', "Use a name from the settings file.") from None
            content = self._state_json()
        self._parts.storage.keep(self._folder / "rules.json", content)

    def quiet_for_s(self) -> float:
        """Return for how many seconds every rule is silenced."""
        now = time.monotonic()
        with self._lock:
            return min((one.snoozed_for_s(now) for one in self.rules.throttles.values()), default=0.0)

    def open_link(self, text: str) -> Link:
        """Return what the link in a notice refers to. Raises LinkExpired."""
        return self._links.read(text, time.time())

    def use_link(self, link: Link, what: str, do: Callable[[], T]) -> T:
        """Call `do`, once per link and action. Raises LinkUsed, or what `do` raises; then it may be tried again."""
        with self._lock:
            self._links.use(link, what, time.time())
            self.rules.changed = True
        try:
            return do()
        except BaseException:
            self._links.forget(link, what)
            raise

    def send_trial(self, target: str) -> str:
        """Send a test to a target; return its id. Raises RequestInvalid."""
        if target not in self.delivery.queues:
            raise RequestInvalid(f'There is no target "{target}".', "Use a name from the settings file.")
        notice = trial(secrets.token_hex(8), rfc3339(time.time()), self._parts.address)
        self._send(notice, [target])
        return notice.id

    def describe(self) -> dict[str, Any]:
        """Return rules and targets with their status, without addresses."""
        at = _now()
        with self._lock:
            rules = [self._rule(rule.name, at) for rule in self._settings.rules]
        targets = []
        for name, queue in self.delivery.queues.items():
            trouble = queue.trouble
            targets.append(
                {
                    "name": name,
                    "kind": type(queue.target).__name__.lower(),
                    "waiting": len(queue.waiting),
                    "delivered": queue.delivered,
                    "lost": queue.lost,
                    "off": queue.off,
                    "code": trouble.code if trouble else None,
                    "reason": trouble.detail if trouble else None,
                    "remedy": trouble.remedy if trouble else None,
                }
            )
        return {"rules": rules, "targets": targets}

    def outcomes(self) -> dict[tuple[str, str], int]:
        """Return the counts of delivered and lost notices by target."""
        counts = {}
        for name, queue in self.delivery.queues.items():
            counts[name, "delivered"], counts[name, "lost"] = queue.delivered, queue.lost
        return counts

    def _rule(self, name: str, at: Moment) -> dict[str, Any]:
        throttle = self.rules.throttles[name]
        rule = next(rule for rule in self._settings.rules if rule.name == name)
        return {
            "name": name,
            "when": rule.when,
            "labels": rule.labels,
            "to": rule.to,
            "snoozed_for_s": round(throttle.snoozed_for_s(at.now), 1),
            "sent_last_hour": throttle.in_last_hour(at.now),
            "held": throttle.held,
        }

    # --- the threads --------------------------------------------------------------------------------------------------

    def _follow(self) -> None:
        assert self._news is not None
        self._links.load_key(self._folder, self._parts.storage)
        self._restore()
        saved_at = time.monotonic()
        while not self._stopping.is_set():
            news = self._news.take(_LOOK_S)
            at = _now()
            shown = view(self._parts.hub.latest(), at.now, at.wall, self._parts.hub.system)
            with self._lock:
                try:
                    for one in news:
                        self.rules.take(one, at)
                    self.rules.tick(shown, at)
                except Exception:  # an event that cannot be sent must not lose the next one
                    log.exception("A notice could not be made.")
                due = self.rules.changed and at.now - saved_at >= _SAVE_S
                content = self._state_json() if due else b""
            if due:
                saved_at = at.now
                self._save(content)

    def _save(self, content: bytes) -> None:
        path = self._folder / "rules.json"
        self._parts.storage.later(lambda writer: writer.replace(path, content), "when notices were sent")

    def _deliver(self) -> None:
        self.delivery.load(time.monotonic())
        while not self._stopping.is_set():
            try:
                due = self.delivery.step(time.monotonic())
            except Exception:
                log.exception("A notice could not be delivered.")
                due = time.monotonic() + _SAVE_S
            self._wake.wait(max(0.0, min(due - time.monotonic(), 3600.0)))
            self._wake.clear()

    def _send(self, notice: Notice, targets: list[str]) -> None:
        self.log.append(notice)
        self.delivery.add(notice, targets, time.monotonic())
        self._wake.set()

    def _state_json(self) -> bytes:
        """Return the rules' state as stored on disk. The lock is held."""
        self.rules.changed = False
        kept = self.rules.kept(_now()) | {"links": self._links.kept()}
        return json.dumps(kept, ensure_ascii=False).encode()

    def _restore(self) -> None:
        path = self._folder / "rules.json"
        try:
            kept = json.loads(read_regular(path, _MAX_FILE_BYTES))
            with self._lock:
                self.rules.restore(kept, _now())
                self._links.restore(kept["links"])
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            log.warning("%s cannot be read; the rules start from scratch.", path)


def _now() -> Moment:
    return Moment(time.monotonic(), time.time())

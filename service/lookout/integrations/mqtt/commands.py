"""Commands over MQTT: what the settings API allows, checked by the same rules."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from lookout.engine.control import Control
from lookout.errors import LookoutError, RequestInvalid
from lookout.integrations.interface import Quiet
from lookout.integrations.mqtt import quiet
from lookout.integrations.mqtt.topics import Topics

log = logging.getLogger(__name__)

# The longest valid payload is the name of a model.
MAX_BYTES = 256
# Bounds the waiting commands, because the wildcard in enter/+/set matches any label that an attacker invents.
_MAX_WAITING = 64
_END_S = 0.2


class Commands:
    """Keeps the newest command of each topic and executes them one at a time on its own thread.

    A model may take a minute to load, and the connection has to be served meanwhile.
    """

    def __init__(
        self,
        topics: Topics,
        control: Control,
        labels: Callable[[], Mapping[str, str]],
        notices: Callable[[], Quiet | None] = lambda: None,
    ) -> None:
        """labels: returns the labels by topic of their threshold. notices: returns what silences them, None if off."""
        self._topics, self._control, self._labels, self._notices = topics, control, labels, notices
        self._waiting: dict[str, bytes] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        # Called with the topic after each command, refused or not, so that the value in force is published again.
        self.done: Callable[[str], None] = lambda _: None

    def take(self, topic: str, payload: bytes, *, retained: bool) -> None:
        """Queue an incoming message; return at once. A retained one is ignored: it was meant for an earlier time."""
        if retained or len(payload) > MAX_BYTES or not topic.endswith("/set"):
            log.warning("A command for %s is ignored: it is %s.", topic, "retained" if retained else "not valid")
            return
        with self._changed:
            if topic not in self._waiting and len(self._waiting) >= _MAX_WAITING:
                return
            self._waiting[topic] = payload
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mqtt commands", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Accept no more commands. One that is being executed is not interrupted."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(_END_S)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if self._closed:
                    return
                topic = next(iter(self._waiting))
                payload = self._waiting.pop(topic)
            target = topic.removesuffix("/set")
            try:
                self.carry_out(target, payload)
            except LookoutError as error:
                log.warning("A command for %s was refused. %s", target, error)
            except Exception:
                log.exception("A command for %s could not be carried out.", target)
            self.done(target)

    def carry_out(self, topic: str, payload: bytes) -> None:
        """Execute a command and block until it is done. topic: of the value, without /set. Raises LookoutError."""
        text = payload.decode("utf-8", "replace").strip()
        if topic == self._topics("paused"):
            self._control.pause(_switch(text))
        elif topic == self._topics("model"):
            self._control.patch({"model": {"name": text}})
        elif topic == self._topics("notify") and (notices := self._notices()) is not None:
            notices.snooze("all", _for_s(text))
        elif (label := self._labels().get(topic)) is not None:
            self._control.patch({"answer": {"enter": self._thresholds() | {label: _number(text)}}})
        else:
            raise RequestInvalid("Nothing is set by this topic.", "docs/home-assistant.md lists those that there are.")

    def _thresholds(self) -> dict[str, Any]:
        return dict(self._control.loaded.settings.answer.enter)


def _switch(text: str) -> bool:
    if text not in ("ON", "OFF"):
        raise RequestInvalid(f"{text!r} is neither ON nor OFF.", "Send one of them.")
    return text == "ON"


def _for_s(text: str) -> float:
    for_s = quiet.seconds(text, time.time())
    if for_s is None:
        raise RequestInvalid(f"{text!r} does not silence notices.", f"Send one of: {', '.join(quiet.OPTIONS)}.")
    return for_s


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise RequestInvalid(f"{text!r} is not a number.", "Send one between 0 and 1.") from None

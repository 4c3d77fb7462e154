"""Decides which events and faults become notices. Times are passed in."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from lookout.events.event import Event
from lookout.events.feed import News
from lookout.integrations.notify.links import Links
from lookout.integrations.notify.notice import Notice
from lookout.integrations.notify.throttle import Throttle
from lookout.settings.integrations import NotifyRule
from lookout.state.view import StateView
from lookout.timestamps import rfc3339

# Visits whose minimum duration is still running, and labels whose last visits are remembered.
_MAX_PENDING = 64
_MAX_LABELS = 256
# Starts remembered per label: the most that `rare_visits` allows.
_MAX_VISITS = 20
_RARE_S = 30 * 86_400.0
# A shorter outage of the camera is not worth a notice; the supervisor reopens it within seconds.
_FAULT_S = 30.0


@dataclass(frozen=True, slots=True)
class Moment:
    """now: monotonic seconds. wall: Unix seconds."""

    now: float
    wall: float

    @property
    def time_of_day(self) -> str:
        return datetime.fromtimestamp(self.wall).strftime("%H:%M")


class Rules:
    """Decides what to send; the callback sends it. Only one thread may call it."""

    def __init__(
        self,
        rules: list[NotifyRule],
        address: str,
        send: Callable[[Notice, list[str]], None],
        links: Links | None = None,
        device: str = "",
    ) -> None:
        """address: the dashboard's URL, ending in a slash. send: takes a notice and its targets, returns at once.

        links: None for notices that only link to the dashboard. device: its name, if there are several.
        """
        self._rules, self._address, self._send, self._device = rules, address, send, device
        self._links = links or Links(address, 0.0)
        self.throttles = {rule.name: Throttle(rule.cooldown_s, rule.per_hour) for rule in rules}
        self._pending: dict[tuple[str, int], tuple[float, News]] = {}
        self._visits: dict[str, list[float]] = {}  # Unix seconds at which each label's last visits began
        self._faults: dict[str, float] = {}
        self._reported: set[str] = set()
        self.changed = False

    def take(self, news: News, at: Moment) -> None:
        """Apply the rules to an event that began or ended."""
        event = news.event
        if event.kind != "seen" or event.label is None:
            return
        before = self._visits.get(event.label, [])
        for rule in self._rules:
            if news.what == "ended":
                self._pending.pop((rule.name, event.id), None)
            if not _fits(rule, news, before):
                continue
            if rule.after_s > 0 and news.what == "begun":
                if len(self._pending) < _MAX_PENDING:
                    self._pending[rule.name, event.id] = (at.now + rule.after_s, news)
            else:
                self._offer(rule, self._event_notice(rule, news, at), at)
        if news.what == "begun":
            self._visits.pop(event.label, None)
            self._visits[event.label] = [*before, event.started][-_MAX_VISITS:]
            while len(self._visits) > _MAX_LABELS:
                del self._visits[next(iter(self._visits))]
            self.changed = True

    def tick(self, view: StateView, at: Moment) -> None:
        """Apply the rules to the passing of time: visits that have lasted long enough, and faults of the device."""
        for key, (due, news) in list(self._pending.items()):
            if at.now >= due:
                del self._pending[key]
                rule = next(rule for rule in self._rules if rule.name == key[0])
                self._offer(rule, self._event_notice(rule, news, at), at)
        faults = _faults(view)
        self._faults = {code: self._faults.get(code, at.now) for code in faults}
        self._reported &= set(faults)  # a fault that has cleared is reported again the next time
        for code, sentence in faults.items():
            if code not in self._reported and at.now - self._faults[code] >= _FAULT_S:
                self._reported.add(code)
                for rule in self._rules:
                    if rule.when == "health":
                        self._offer(rule, _notice(rule, "Lookout needs attention", sentence, at, self._address), at)

    def snooze(self, rule: str, for_s: float, at: Moment) -> None:
        """Silence a rule. rule: its name, or all. Raises KeyError."""
        for throttle in self.throttles.values() if rule == "all" else [self.throttles[rule]]:
            throttle.snooze(at.now, for_s)
        self.changed = True

    def kept(self, at: Moment) -> dict[str, Any]:
        """Return the state that must survive a restart."""
        rules = {name: throttle.kept(at.now) for name, throttle in self.throttles.items()}
        return {"at": at.wall, "rules": rules, "visits": self._visits}

    def restore(self, kept: dict[str, Any], at: Moment) -> None:
        """Raises ValueError, TypeError, KeyError or AttributeError if the data was not written by Lookout."""
        away_s = at.wall - float(kept["at"])
        for name, throttle in self.throttles.items():
            if name in kept["rules"]:
                throttle.restore(kept["rules"][name], at.now, away_s)
        visits = list(kept["visits"].items())[:_MAX_LABELS]
        self._visits = {str(label): [float(one) for one in begins][-_MAX_VISITS:] for label, begins in visits}

    def _offer(self, rule: NotifyRule, notice: Notice, at: Moment) -> None:
        throttle = self.throttles[rule.name]
        self.changed = True
        if _is_quiet(rule.quiet, at.time_of_day) or not throttle.admits(at.now):
            throttle.held += 1
            return
        held = throttle.sent(at.now)
        if held:
            notice = replace(notice, held=held, text=f"{notice.text} (and {held} more since the last notice)")
        if self._device:
            notice = replace(notice, title=f"{self._device}: {notice.title}")
        self._send(notice, rule.to)

    def _event_notice(self, rule: NotifyRule, news: News, at: Moment) -> Notice:
        event = news.event
        label = event.label or ""
        sure = "" if event.probability is None else f" ({event.probability:.0%})"
        what = {"ends": "has left", "unsure": "may have been here: have a look"}.get(rule.when, "is here")
        if rule.when == "first_today":
            what = "is here for the first time today"
        elif rule.when == "after_absence":
            what = "is here again"
        elif rule.when == "rare":
            what = "is here, which is rare"
        url = f"{self._address}api/events/{event.id}/snapshot.jpg"
        notice = _notice(rule, label, f"{label} {what}{sure}.", at, url)
        picture = news.picture if rule.picture else None
        notice = replace(notice, label=label, event=event.id, probability=event.probability, picture=picture)
        page, shown = self._links.page(notice, at.wall), self._links.picture(notice, at.wall)
        return replace(notice, url=page or url, picture_url=shown) if page else notice


def _fits(rule: NotifyRule, news: News, before: list[float]) -> bool:
    """Whether the rule applies. before: start times of the label's last visits, Unix seconds, newest last."""
    event = news.event
    if rule.when == "health" or (rule.labels and event.label not in rule.labels) or event.view != rule.view:
        return False
    if rule.when != "unsure" and (event.probability or 0.0) < rule.min_probability:
        return False
    if rule.when == "ends":
        return news.what == "ended"
    if rule.when == "unsure":
        return news.what == "ended" and event.doubt == "unsure"
    if news.what != "begun":
        return False
    if rule.when == "first_today":
        return not before or _day(before[-1]) != _day(event.started)
    if rule.when == "rare":
        return sum(_away_s(begin, event) < _RARE_S for begin in before) < rule.rare_visits
    return rule.when != "after_absence" or not before or _away_s(before[-1], event) >= rule.absence_h * 3600


def _away_s(last: float, event: Event) -> float:
    return abs(event.started - last)  # absolute, so that a clock that was set back does not silence the rule


def _day(wall: float) -> str:
    return datetime.fromtimestamp(wall).date().isoformat()


def _is_quiet(span: str, now: str) -> bool:
    """Whether it is within the span, such as 22:00-07:00; an empty span means never."""
    if not span:
        return False
    begin, _, end = span.partition("-")
    return begin <= now < end if begin <= end else now >= begin or now < end


def _faults(view: StateView) -> dict[str, str]:
    """Return a sentence for each fault of the device, by code."""
    found = {}
    camera = view["camera"]
    if view["status"] in ("absent", "stale"):
        found["camera"] = f"No pictures arrive: {camera['reason'] or 'the camera is late.'} {camera['remedy'] or ''}"
    if view["fault"] is not None:
        found["model"] = f"{view['fault']['reason']} {view['fault']['remedy']}"
    if view["system"]["disk"] is not None:
        found["disk"] = f"{view['system']['disk']['reason']} {view['system']['disk']['remedy']}"
    if "under-voltage now" in view["system"]["throttled"]:
        found["power"] = "The power supply is too weak: the voltage is too low."
    return {code: sentence.strip() for code, sentence in found.items()}


def _notice(rule: NotifyRule, title: str, text: str, at: Moment, url: str) -> Notice:
    return Notice(secrets.token_hex(8), rule.name, title, text, rfc3339(at.wall), url=url)

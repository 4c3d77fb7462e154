"""Silencing notices over MQTT: the words of the select entity, and how long each silences them."""

from __future__ import annotations

from datetime import datetime, timedelta

ON, HOUR, TOMORROW, OFF = "on", "off for 1 hour", "off until tomorrow", "off"
OPTIONS = (ON, HOUR, TOMORROW, OFF)
_HOUR_S = 3600.0
# The longest time that the API allows.
_OFF_S = 30 * 86_400.0


def word(quiet_for_s: float, wall: float) -> str:
    """Return the word for the current state. wall: Unix seconds."""
    if quiet_for_s <= 0:
        return ON
    if quiet_for_s <= _HOUR_S:
        return HOUR
    return TOMORROW if quiet_for_s <= _until_midnight_s(wall) + 1 else OFF


def seconds(option: str, wall: float) -> float | None:
    """Return for how many seconds the word silences notices; None if there is no such word."""
    return {ON: 0.0, HOUR: _HOUR_S, TOMORROW: _until_midnight_s(wall), OFF: _OFF_S}.get(option)


def _until_midnight_s(wall: float) -> float:
    """Return the seconds until midnight in the machine's time zone."""
    now = datetime.fromtimestamp(wall).astimezone()
    midnight = (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return max(60.0, midnight.astimezone().timestamp() - wall)

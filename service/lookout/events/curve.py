"""The probabilities over an event in at most 1,200 bytes: thinned out if the event is long, one byte per value."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

MAX_BYTES = 1200
_VERSION = 1
# Version, labels, points, seconds.
_HEAD = struct.Struct("<BBHf")
# A model may have a thousand labels; the event's own label and its closest rivals are enough.
MAX_LABELS = 4
_MAX_NAME_BYTES = 60


@dataclass(frozen=True, slots=True)
class Curve:
    """times_s: seconds since the start. values: for each time, one probability per label, in the order of `labels`."""

    labels: tuple[str, ...]
    times_s: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]


class CurveBuilder:
    """Collects one point per prediction while the event lasts, in bounded memory."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = tuple(labels[:MAX_LABELS])
        self._points: list[tuple[float, tuple[float, ...]]] = []
        self._stride = 1  # predictions per point
        self._waiting: list[tuple[float, tuple[float, ...]]] = []
        self._room = 2 * _room_for(self._labels)

    def add(self, at_s: float, values: Sequence[float]) -> None:
        """at_s: seconds since the start, ascending. values: in the order of the labels."""
        self._waiting.append((at_s, tuple(values[: len(self._labels)])))
        if len(self._waiting) < self._stride:
            return
        self._points.append(_extreme(self._waiting))
        self._waiting.clear()
        if len(self._points) >= self._room:
            self._points = [_extreme(self._points[i : i + 2]) for i in range(0, len(self._points), 2)]
            self._stride *= 2

    def pack(self) -> bytes:
        points = self._points + ([_extreme(self._waiting)] if self._waiting else [])
        return pack(Curve(self._labels, tuple(at for at, _ in points), tuple(values for _, values in points)))


def _extreme(points: list[tuple[float, tuple[float, ...]]]) -> tuple[float, tuple[float, ...]]:
    """Return the point in which the event's own label (the first) is least probable: dips are what people look for."""
    return min(points, key=lambda point: point[1][0])


def pack(curve: Curve) -> bytes:
    """Return at most MAX_BYTES; a curve that is too long is thinned out evenly."""
    labels = curve.labels[:MAX_LABELS]
    room = _room_for(labels)
    points = list(zip(curve.times_s, curve.values, strict=True))
    while len(points) > room:
        points = [_extreme(points[i : i + 2]) for i in range(0, len(points), 2)]
    span = max((at for at, _ in points), default=0.0) or 1.0
    parts = [_HEAD.pack(_VERSION, len(labels), len(points), span)]
    for label in labels:
        name = label.encode()[:_MAX_NAME_BYTES]
        parts += [bytes([len(name)]), name]
    for at, values in points:
        parts.append(struct.pack("<H", round(max(0.0, min(1.0, at / span)) * 65535)))
        parts.append(bytes([round(max(0.0, min(1.0, value)) * 255) for value in values[: len(labels)]]))
    return b"".join(parts)


def unpack(packed: bytes) -> Curve:
    """Raises ValueError for bytes that `pack` did not make."""
    try:
        version, labels, points, span = _HEAD.unpack_from(packed)
        if version != _VERSION:
            raise ValueError("another version")
        at, names = _HEAD.size, []
        for _ in range(labels):
            length = packed[at]
            names.append(packed[at + 1 : at + 1 + length].decode("utf-8", "replace"))
            at += 1 + length
        times, values = [], []
        for _ in range(points):
            times.append(struct.unpack_from("<H", packed, at)[0] / 65535 * span)
            values.append(tuple(byte / 255 for byte in packed[at + 2 : at + 2 + labels]))
            at += 2 + labels
    except (struct.error, IndexError) as error:
        raise ValueError("no curve of ours") from error
    return Curve(tuple(names), tuple(times), tuple(values))


def _room_for(labels: Sequence[str]) -> int:
    """Return how many points fit."""
    names = sum(1 + len(label.encode()[:_MAX_NAME_BYTES]) for label in labels)
    return (MAX_BYTES - _HEAD.size - names) // (2 + len(labels))

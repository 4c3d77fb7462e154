"""Requests for feature maps: computed one at a time, and shared by all who request the same at nearly the same time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from lookout.errors import TooBusy
from lookout.geometry import Rect
from lookout.inspection.feature_maps import MapLayer
from lookout.system.threads import start_pool

# A class of thirty that looks at one layer costs the machine two computations per second.
SHARED_S = 0.5
# A computation takes milliseconds, or seconds if the network must be loaded first; further requests are refused.
MAX_WAITING = 8
_KEPT = 16


@dataclass(frozen=True, slots=True)
class Channel:
    """One feature map: its index in the layer, from 0, and the mean and maximum of its values."""

    number: int
    mean: float
    highest: float


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMapResult:
    """The feature maps of one layer for one frame, as pictures.

    input: the network's input for the frame, as JPEG.
    png: tiles of width x height pixels, `columns` per row, in the order of `channels`. zero: the grey value of zero.
    captured_at: when the frame was captured, in monotonic seconds.
    """

    layers: tuple[MapLayer, ...]
    layer: MapLayer
    model: str
    version: str
    precision: str
    frame_id: int
    captured_at: float
    seen: Rect
    input: bytes
    channels: tuple[Channel, ...]
    columns: int
    width: int
    height: int
    zero: int
    png: bytes


class FeatureMapRequests:
    """Computes feature maps on one thread. Its methods are for the event loop."""

    def __init__(self) -> None:
        self._thread = start_pool(1, "feature maps")
        self._kept: OrderedDict[Hashable, asyncio.Future[FeatureMapResult]] = OrderedDict()

    async def shared(self, key: Hashable, compute: Callable[[], FeatureMapResult], now: float) -> FeatureMapResult:
        """Return the result of `compute`, or one for the same key less than SHARED_S before `now` (monotonic seconds).

        Raises TooBusy, and what `compute` raises.
        """
        future = self._kept.get(key)
        if future is None or _is_over(future, now):
            if sum(not one.done() for one in self._kept.values()) >= MAX_WAITING:
                raise TooBusy("Too many requests for feature maps at once.", "Try again in a moment.")
            future = asyncio.get_running_loop().run_in_executor(self._thread, compute)
            self._kept[key] = future
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        # Shielded: a client that leaves must not cancel what others wait for.
        return await asyncio.shield(future)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _is_over(future: asyncio.Future[FeatureMapResult], now: float) -> bool:
    """Return whether the result failed or is too old to be shared."""
    if not future.done():
        return False
    if future.cancelled() or future.exception() is not None:
        return True
    return now - future.result().captured_at >= SHARED_S

"""Looks into the network: one at a time, and one for all who ask for the same at nearly the same moment."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from lookout.errors import TooBusy
from lookout.geometry import Rect
from lookout.inspection.feature_maps import MapLayer
from lookout.system.threads import start_pool

# A class of thirty that looks at one layer costs the machine two looks a second.
SHARED_S = 0.5
# A look takes milliseconds, and seconds where the network has to be loaded first: who comes behind these is told so.
MAX_WAITING = 8
_KEPT = 16


@dataclass(frozen=True, slots=True)
class Channel:
    """One map: its number in the layer, from 0, the mean of its values and the highest of them."""

    number: int
    mean: float
    highest: float


@dataclass(frozen=True, slots=True, eq=False)
class FeatureMapResult:
    """The maps of one layer for one frame, drawn.

    input: what the network was given of the frame, as JPEG.
    png: tiles of width x height pixels, `columns` in a row, in the order of `channels`. zero: the grey that is zero.
    captured_at: of the frame, monotonic seconds.
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
    """One thread that looks. Its methods are for the event loop."""

    def __init__(self) -> None:
        self._thread = start_pool(1, "looks")
        self._kept: OrderedDict[Hashable, asyncio.Future[FeatureMapResult]] = OrderedDict()

    async def shared(self, key: Hashable, look: Callable[[], FeatureMapResult], now: float) -> FeatureMapResult:
        """What `look` returns, or what it has returned for this key just before `now` (monotonic seconds).

        Raises TooBusy, and what `look` raises.
        """
        future = self._kept.get(key)
        if future is None or _is_over(future, now):
            if sum(not one.done() for one in self._kept.values()) >= MAX_WAITING:
                raise TooBusy("Too many are looking inside at once.", "Try again in a moment.")
            future = asyncio.get_running_loop().run_in_executor(self._thread, look)
            self._kept[key] = future
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        # Shielded: whoever leaves must not cancel what others wait for.
        return await asyncio.shield(future)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _is_over(future: asyncio.Future[FeatureMapResult], now: float) -> bool:
    """Whether it is of a frame of some time ago, or failed."""
    if not future.done():
        return False
    if future.cancelled() or future.exception() is not None:
        return True
    return now - future.result().captured_at >= SHARED_S

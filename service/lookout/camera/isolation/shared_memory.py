"""The pictures in the memory of a camera's process, from the side that reads: shown where they lie, without a copy.

A picture that somebody looks at is lent. Its slot goes back to the camera's process when the last view of it has died,
on whatever thread that was: nobody has to say so, and nobody can forget to.
"""

from __future__ import annotations

import contextlib
import mmap
import weakref
from collections.abc import Iterable

import numpy as np

from lookout.camera.isolation import protocol
from lookout.frame import Pixels

# The worker has two in its hands, the state's and the next; two more are for whoever draws. Later ones are copied: a
# viewer who looks for long must not leave the camera without a slot. Half of them stay the camera's.
MAX_LENT = protocol.SLOTS // 2


class SharedPictures:
    """The memory file of one camera's process, mapped for reading. Used by one thread; its views by any.

    The mapping lives as long as a view of it, also when the process is long gone.
    """

    def __init__(self, memory: int, size: int) -> None:
        """memory: descriptor of the file. size: its bytes that are to be mapped."""
        self._map = mmap.mmap(memory, size, prot=mmap.PROT_READ)
        self._lent: dict[int, weakref.ref[Pixels]] = {}

    @property
    def size(self) -> int:
        return len(self._map)

    def view(self, slot: int, layout: protocol.Layout) -> Pixels:
        """What lies in the slot, as a flat array that cannot be written to."""
        return np.frombuffer(self._map, np.uint8, layout.size, slot * layout.bytes_per_slot)

    def lend(self, slot: int, view: Pixels) -> bool:
        """Keep the slot until `view` and all views of it have died. False when it must be copied instead."""
        if len(self._lent) >= MAX_LENT:
            return False
        # Every view that NumPy makes of this one holds on to it.
        self._lent[slot] = weakref.ref(view)
        return True

    def is_any_lent(self, slots: Iterable[int]) -> bool:
        """Whether one of them has not been told to be free since it was lent."""
        return not self._lent.keys().isdisjoint(slots)

    def returned(self) -> bytes:
        """The slots that nobody looks at any more, each told once."""
        slots = bytes([slot for slot, view in self._lent.items() if view() is None])
        for slot in slots:
            del self._lent[slot]
        return slots

    def close(self) -> None:
        """Let go of the memory, now or with the last view of it."""
        with contextlib.suppress(BufferError):
            self._map.close()

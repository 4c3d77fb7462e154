"""The reading side of the memory shared with a camera's process: pictures are used in place, without a copy.

A picture in use is lent. Its slot goes back to the camera's process when the last view of it is garbage collected, on
any thread, so that no explicit release is needed or can be forgotten.
"""

from __future__ import annotations

import contextlib
import mmap
import weakref
from collections.abc import Iterable

import numpy as np

from lookout.camera.isolation import protocol
from lookout.frame import Pixels

# The worker holds two pictures, that of the state and the next; two more may be in use for drawing. Further ones are
# copied, since a slow viewer must not leave the camera without slots. Half of the slots always stay with the camera.
MAX_LENT = protocol.SLOTS // 2


class SharedPictures:
    """The memory file of one camera's process, mapped for reading. Used by one thread; its views may be used by any.

    The mapping lives as long as any view of it, even after the process has ended.
    """

    def __init__(self, memory: int, size: int) -> None:
        """memory: descriptor of the file. size: the bytes to map."""
        self.size = size
        self._map = mmap.mmap(memory, size, prot=mmap.PROT_READ)
        self._lent: dict[int, weakref.ref[Pixels]] = {}

    def view(self, slot: int, layout: protocol.Layout) -> Pixels:
        """Return the content of the slot as a flat read-only array."""
        return np.frombuffer(self._map, np.uint8, layout.size, slot * layout.bytes_per_slot)

    def lend(self, slot: int, view: Pixels) -> bool:
        """Lend the slot until `view` and all views of it are gone. Returns False if it must be copied instead."""
        if len(self._lent) >= MAX_LENT:
            return False
        # Every view that NumPy makes of this array keeps a reference to it.
        self._lent[slot] = weakref.ref(view)
        return True

    def is_any_lent(self, slots: Iterable[int]) -> bool:
        """Whether one of these slots is lent and not yet reported as free."""
        return not self._lent.keys().isdisjoint(slots)

    def returned(self) -> bytes:
        """Return the slots no longer in use, each once."""
        slots = bytes([slot for slot, view in self._lent.items() if view() is None])
        for slot in slots:
            del self._lent[slot]
        return slots

    def close(self) -> None:
        """Release the memory, at once or with the last view of it."""
        with contextlib.suppress(BufferError):
            self._map.close()

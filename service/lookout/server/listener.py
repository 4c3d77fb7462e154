"""The listening socket, and how many connections the process's file descriptors allow."""

from __future__ import annotations

import contextlib
import errno
import logging
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

# What the camera's processes, models, settings and uploads may need besides connections.
RESERVED_DESCRIPTORS = 24
_OUT_OF_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_WARN_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many connections are served, how many more are refused with a response, and how many are accepted at all.

    served: the maximum number of viewers (180) and a household's requests beside them. accepted: including TLS
    handshakes; below the 1,024 descriptors that a process has by default.
    """

    served: int = 256
    refused: int = 512
    accepted: int = 832

    @classmethod
    def within(cls, descriptors: int) -> Capacity:
        """Return the capacity with this many free descriptors, some of them reserved; at least a few connections."""
        accepted = max(8, min(cls().accepted, descriptors - RESERVED_DESCRIPTORS))
        return cls(min(cls().served, accepted * 5 // 8), min(cls().refused, accepted * 7 // 8), accepted)

    @classmethod
    def here(cls) -> Capacity:
        """Return the capacity of this process, whose soft limit is first raised as far as the hard one allows."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 1024 if hard == resource.RLIM_INFINITY else min(hard, 1024)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        capacity = cls() if soft == resource.RLIM_INFINITY else cls.within(soft - _open_descriptors())
        if capacity.served < cls().served:
            log.warning(
                "This process may open only %d files (ulimit -n): %d connections are served at once.",
                soft,
                capacity.served,
            )
        return capacity


DEFAULT_CAPACITY = Capacity()


def _open_descriptors() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 16


class BoundedListener(socket.socket):
    """A listening socket whose connections never use the last descriptors, and whose clients always get a response.

    If there is no descriptor left for a connection, a spare one accepts it and closes it: left in the queue, it would
    wake the event loop forever.
    """

    def __init__(self, family: int, kind: int, protocol: int, capacity: Capacity) -> None:
        super().__init__(family, kind, protocol)
        self.capacity = capacity
        # Whether an address has an established connection; before that, it is in a TLS handshake that may never end.
        self.is_made: Callable[[tuple[str, int]], bool] = lambda _: True
        self._accepted: dict[socket.socket, tuple[str, int]] = {}  # oldest first
        self._spare = self._spare_one()
        self._warned_at = float("-inf")
        # The oldest connection accepted in one turn of the loop is ended in the next and closed in the one after.
        self._a_turn = max(1, (capacity.accepted - capacity.served) // 3)
        self._this_turn = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection. Raises BlockingIOError if none is waiting, or if it is time for other work."""
        for _ in range(self.capacity.accepted):
            if self._this_turn >= self._a_turn:
                self._this_turn = 0
                break
            self._this_turn += 1
            try:
                connection, address = super().accept()
            except BlockingIOError:
                self._this_turn = 0
                raise
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS or self._spare is None:
                    raise
                self._turn_away()
                continue
            if self._has_room():
                self._accepted[connection] = address[:2]
                return connection, address
            connection.close()
        raise BlockingIOError

    def _has_room(self) -> bool:
        """Return whether one more may be accepted, if need be in place of the longest unfinished handshake."""
        for one in [one for one in self._accepted if one.fileno() < 0]:
            del self._accepted[one]
        if len(self._accepted) < self.capacity.accepted:
            return True
        for one, address in self._accepted.items():
            if not self.is_made(address):
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)  # its transport notices and closes it
                del self._accepted[one]
                return True
        return False

    def close(self) -> None:
        if self._spare is not None:
            self._spare.close()
        super().close()

    def _turn_away(self) -> None:
        """Accept and close one connection with the spare descriptor. Raises BlockingIOError if none is waiting."""
        assert self._spare is not None
        now = time.monotonic()
        if now - self._warned_at > _WARN_EVERY_S:
            self._warned_at = now
            log.warning("No file descriptor is left: new connections are closed. Raise the limit (ulimit -n).")
        self._spare.close()
        try:
            super().accept()[0].close()
        finally:
            self._spare = self._spare_one()

    @staticmethod
    def _spare_one() -> socket.socket | None:
        try:
            return socket.socket(socket.AF_UNIX)
        except OSError:
            return None

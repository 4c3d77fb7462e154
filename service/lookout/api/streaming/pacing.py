"""How large a picture may be for one watcher, so that states never wait long behind it."""

from __future__ import annotations

# A state that comes while a picture is on its way waits for the rest of it; 2 s old is the most a state may be.
PICTURE_S = 0.8
# Before anything is known of the network: little more than a second at 50 kB/s.
FIRST_BYTES = 64 * 1024
# Below this a picture shows nothing; whoever is slower waits longer.
LEAST_BYTES = 6 * 1024
# One lucky measurement must not make the next picture huge.
_GROWTH = 4
# The picture's width is divided by at most this.
MOST_SHRINK = 8


class PicturePace:
    """Learns from each acknowledgement how fast the watcher takes pictures. Times in monotonic seconds."""

    def __init__(self) -> None:
        self.shrink = 1
        self._budget = FIRST_BYTES
        self._sent = (0, 0.0)

    def fits(self, size: int) -> bool:
        """Whether a picture of so many bytes may go out now."""
        return size <= self._budget or self.shrink >= MOST_SHRINK

    def smaller(self) -> None:
        """The picture did not fit: the next one is half as wide."""
        self.shrink = min(MOST_SHRINK, self.shrink * 2)

    def sent(self, size: int, now: float) -> None:
        self._sent = (size, now)

    def acknowledged(self, now: float) -> None:
        """The client has the picture: what it could have had in `PICTURE_S` is the next one's limit."""
        size, at = self._sent
        possible = round(size / max(now - at, 1e-3) * PICTURE_S)
        self._budget = max(LEAST_BYTES, min(possible, self._budget * _GROWTH))
        if self.shrink > 1 and size * 5 < self._budget:  # twice the width is at most four times the bytes
            self.shrink //= 2

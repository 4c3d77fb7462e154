"""Delivers the pictures of an encoded stream as they arrive, or of a recording at its own pace."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from lookout.camera.interface import CameraOptions, EndOfSource
from lookout.camera.sources.arrival import ArrivalClock
from lookout.camera.sources.grabber import Taken
from lookout.camera.sources.video import Decoded, Video, VideoBroken
from lookout.errors import CameraError

SLICE_S = 0.2  # the longest single wait for a recording's next picture


class Feed(Protocol):
    """An open stream. notes, fps, live: as in `CameraInfo`."""

    notes: tuple[str, ...]
    fps: float | None
    live: bool

    def take(self) -> Taken | None:
        """Return the next frame; None if none comes within a short time. Raises CameraError or EndOfSource."""
        ...

    def release(self) -> None:
        """Release the connection."""
        ...


class VideoFeed:
    """Decodes a container's packets as they arrive. A container with a known duration is a recording, and ends."""

    def __init__(
        self,
        video: Video,
        shown: str,
        options: CameraOptions,
        hear: Callable[[], None],
        done: Callable[[], None] = lambda: None,
    ) -> None:
        """shown: the address for messages. hear: called for each packet. done: called at the end."""
        self._video, self._shown, self._options, self._hear, self._done = video, shown, options, hear, done
        self._clock = ArrivalClock()
        self._next: deque[Decoded] = deque()
        self._started: float | None = None
        self.notes: tuple[str, ...] = ()
        self.live = video.duration is None
        self.fps = video.fps

    def take(self) -> Taken | None:
        return self._newest() if self.live else self._due()

    def release(self) -> None:
        self._video.close()
        self._done()

    def _step(self) -> list[Decoded]:
        try:
            pictures = self._video.step()
        except EOFError:
            if not self.live:
                raise EndOfSource from None
            raise self._over() from None
        except VideoBroken:
            raise self._over() from None
        self._hear()
        return pictures

    def _over(self) -> CameraError:
        # Not CameraSilent, since nothing more will come over this connection and waiting is useless.
        return CameraError(f"The stream {self._shown} ended or fell silent.", "It is opened again.")

    def _newest(self) -> Taken | None:
        pictures = self._step()
        return self._taken(pictures[-1]) if pictures else None

    def _due(self) -> Taken | None:
        """Return a recording's next picture once it is due; None before."""
        if not self._next:
            self._next.extend(self._step())
        if not self._next:
            return None
        now, at = time.monotonic(), self._next[0].at or 0.0
        self._started = now - at if self._started is None else self._started
        wait = self._started + at - now
        self._hear()
        if wait > 0:
            time.sleep(min(wait, SLICE_S))
            if wait > SLICE_S:
                return None
        return self._taken(self._next.popleft())

    def _taken(self, picture: Decoded) -> Taken | None:
        pixels = self._video.pixels(picture, self._options.rotate, self._options.flip)
        if pixels is None:
            return None
        now = time.monotonic()
        timed = self.live and picture.at is not None
        captured_at = self._clock.captured_at(picture.at or 0.0, now) if timed else now
        # For a still scene, an encoder sends "nothing has changed", and the pictures are identical. Unlike with
        # independently encoded pictures, that does not mean a stuck driver, so the mark changes with each packet.
        mark = None if self._video.every_picture_stands_alone else self._video.packets & 0xFFFFFFFF
        return Taken(pixels, captured_at, mark)

"""The interface of every source of frames. Standard library only, since the Pi camera's process imports this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from lookout.deadline import Deadline
from lookout.frame import Frame


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """A source's description of itself once it is open.

    kind: "pi", "usb", "rtsp", "http", "file", "folder", "demo" or "scripted".
    name: for display, e.g. the sensor's or the file's name; never contains credentials.
    width, height: pixels of the upright frames as delivered.
    fps: nominal frames per second, None if frames come as fast as they are requested.
    live: whether frames show the present. Only live sources can be stale, late or stuck.
    notes: requested options that could not be met, one sentence each.
    """

    kind: str
    name: str
    width: int
    height: int
    fps: float | None
    live: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """The options requested from a source, which reports in its `CameraInfo` what it really delivers.

    rotate: degrees clockwise, one of 0, 90, 180, 270; applied before flip.
    flip: "none", "horizontal", "vertical" or "both".
    controls: exposure, focus, tuning file etc., passed to the camera; unknown ones are skipped and listed in `notes`.
    python: interpreter for the Pi camera's process, or "auto".
    loop: files and folders start over at their end.
    pace: files play at their own speed; if False, they are read as fast as frames are requested, for batch use.
    """

    width: int = 640
    height: int = 480
    fps: float = 15.0
    rotate: int = 0
    flip: str = "none"
    controls: dict[str, object] = field(default_factory=dict)
    python: str = "auto"
    loop: bool = False
    pace: bool = True


class EndOfSource(Exception):
    """A file or folder has no more frames. Not an error."""


class Camera(Protocol):
    """A source of frames. One thread opens and reads; any thread may close."""

    @property
    def info(self) -> CameraInfo:
        """The source's description. Valid after `open`."""
        ...

    def open(self, deadline: Deadline) -> None:
        """Start the source. Raises CameraError with code, sentence and remedy."""
        ...

    def read(self, deadline: Deadline) -> Frame:
        """Return the newest frame not returned before, waiting for it until the deadline.

        Raises CameraSilent if none came by then (the caller may simply read again), another CameraError if the source
        is broken and must be reopened, EndOfSource at the end of a file.
        """
        ...

    def close(self) -> None:
        """Release everything. Safe to call twice, safe from another thread, bounded in time, never raises."""
        ...

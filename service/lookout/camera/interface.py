"""What every source of frames can do. Standard library alone: the Pi camera's process imports this."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from lookout.deadline import Deadline
from lookout.frame import Frame


@dataclass(frozen=True, slots=True)
class CameraInfo:
    """What a source says of itself once it is open.

    kind: "pi", "usb", "rtsp", "http", "file", "folder", "demo" or "scripted".
    name: for people, e.g. the sensor's or the file's name; never holds credentials.
    width, height: pixels of the upright frames really delivered.
    fps: nominal frames a second, None where frames come as fast as they are asked for.
    live: whether frames are of now. Only live sources can be stale, late or stuck.
    notes: what was asked for and could not be had, one sentence each.
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
    """What a source is asked for; it reports what it really delivers in its `CameraInfo`.

    rotate: degrees clockwise, one of 0, 90, 180, 270; applied before flip.
    flip: "none", "horizontal", "vertical" or "both".
    controls: exposure, focus, tuning file ...: handed to the camera, unknown ones named in `notes` and skipped.
    python: interpreter for the Pi camera's process, "auto" to choose.
    loop: files and folders begin again at their end.
    pace: files keep their own speed; False reads as fast as asked (batch use).
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
        """Valid after `open`."""
        ...

    def open(self, deadline: Deadline) -> None:
        """Make the source deliver frames. Raises CameraError with code, sentence and remedy."""
        ...

    def read(self, deadline: Deadline) -> Frame:
        """The newest frame not handed out before, waiting for it until the deadline.

        Raises CameraSilent when none came by then (the caller may simply read again), another CameraError
        when the source is broken and must be reopened, EndOfSource when a file is over.
        """
        ...

    def close(self) -> None:
        """Let go of everything. Safe twice, safe from another thread, bounded in time, never raises."""
        ...

"""A scripted camera: plays arrays, waits, errors and hangs in a given order. For tests and experiments.

Address: `scripted:MODULE:NAME`, where NAME is a list of steps or a function that returns steps (or a generator):

    from lookout.camera.sources.scripted import Fail, Hang, Repeat, Show, Wait
    evening = [Show(room), Wait(0.5), Repeat([Show(cat), Show(cat2)], times=30), Fail(CameraBusy("...", "..."))]

After a `Show`, the next step follows a frame interval later (`camera.fps`; 0: at once). After the last step the source
is silent, like a camera that has stopped sending.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from lookout.camera.interface import CameraInfo, CameraOptions, EndOfSource
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Frame, Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Show:
    """Deliver one frame. pixels: uint8, height x width x 3, BGR. age_s: how old it claims to be on delivery."""

    pixels: Pixels
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Wait:
    """Deliver nothing for this many seconds; the source stays healthy."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """Raise this error once, from `read`. As the first step it is raised from `open`."""

    error: Exception


@dataclass(frozen=True, slots=True)
class Hang:
    """Sleep in native code regardless of any deadline, like a stuck driver. Only a kill ends it early."""

    seconds: float = 3600.0


@dataclass(frozen=True, slots=True)
class Call:
    """Run a function in the camera's process, for anything that the other steps cannot do."""

    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class End:
    """End the source, like a file that has been read."""


@dataclass(frozen=True, slots=True)
class Repeat:
    """Repeat the steps. times: None: forever."""

    steps: list[Step]
    times: int | None = None


Step = Show | Wait | Fail | Hang | Call | End | Repeat


class ScriptedCamera:
    """Plays the steps of `module:name`; every `open` starts the script from its beginning."""

    def __init__(self, name: str, options: CameraOptions, steps: Iterable[Step] | None = None) -> None:
        self._name, self._options, self._given = name, options, steps
        self._info: CameraInfo | None = None
        self._steps: Iterator[Step] = iter(())
        self._held: Step | None = None
        self._closed = threading.Event()
        self._due, self._sequence = 0.0, 0

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError("The script is not open.", "Open it first.")
        return self._info

    def open(self, deadline: Deadline) -> None:
        """Load the script and play it up to its first frame, which determines width and height."""
        self._closed.clear()
        self._sequence, self._due, self._held = 0, 0.0, None
        self._steps = _flat(self._given if self._given is not None else _loaded(self._name))
        self._info = CameraInfo("scripted", self._name, self._options.width, self._options.height, None, live=True)
        show = self._next_show(deadline)
        self._held = show
        height, width = show.pixels.shape[:2]
        fps = self._options.fps or None
        self._info = CameraInfo("scripted", self._name, width, height, fps, live=True)

    def read(self, deadline: Deadline) -> Frame:
        """Return the script's next frame, or raise its next error; CameraSilent if it waits past the deadline."""
        show = self._next_show(deadline)
        self._held = show
        self._wait_until(self._due, deadline)
        self._held = None
        now = time.monotonic()
        self._due = now + (1 / self._options.fps if self._options.fps else 0.0)
        self._sequence += 1
        pixels = np.ascontiguousarray(show.pixels, dtype=np.uint8)
        return Frame(pixels, now - show.age_s, self._sequence - 1, f"scripted:{self._name}")

    def close(self) -> None:
        self._closed.set()

    def _next_show(self, deadline: Deadline) -> Show:
        while True:
            step, self._held = self._held or next(self._steps, None), None
            match step:
                case Show():
                    return step
                case Wait(seconds):
                    until = time.monotonic() + seconds
                    try:
                        self._wait_until(until, deadline)
                    except CameraSilent:
                        self._held = Wait(max(0.0, until - time.monotonic()))
                        raise
                case Fail(error):
                    raise error
                case Hang(seconds):
                    _native_sleep(seconds)
                case Call(function):
                    function()
                case End():
                    raise EndOfSource
                case _:
                    self._wait_until(float("inf"), deadline)

    def _wait_until(self, moment: float, deadline: Deadline) -> None:
        wait = moment - time.monotonic()
        if self._closed.wait(max(0.0, min(wait, deadline.remaining()))):
            raise CameraError("The script was closed.", "Open it again.")
        if time.monotonic() < moment:
            raise CameraSilent("The script shows nothing now.", "Wait, or change the script.")


def _flat(steps: Iterable[Step]) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, Repeat):
            done = 0
            while step.times is None or done < step.times:
                yield from _flat(step.steps)
                done += 1
        else:
            yield step


def _loaded(name: str) -> Iterable[Step]:
    module, _, attribute = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise CameraUnsupported(
            f"The script {name} cannot be loaded: {error}.", "Name an importable module and a list of steps in it."
        ) from error
    steps = found() if callable(found) else found
    if not isinstance(steps, Iterable):
        raise CameraUnsupported(f"The script {name} is not a list of steps.", "Name a list of steps or a function.")
    return steps


def _native_sleep(seconds: float) -> None:
    """Sleep in a single C call (of libc, through ctypes), which Python code cannot interrupt."""
    import ctypes

    ctypes.CDLL(None).usleep(ctypes.c_uint(min(int(seconds * 1e6), 2**32 - 1)))

"""A camera in its own process, run as a script by `camera.py`; the service itself never imports this module.

    PYTHON -I child.py SOCKET MEMORY LIFE

Needs the standard library and NumPy, and whatever its source needs. The interpreter may differ from the service's (the
Pi camera's library belongs to the system's Python), so nothing of the service's environment may reach it: it runs
isolated (-I) and finds the package `lookout` only by its location.
"""

from __future__ import annotations

import importlib.util
import mmap
import os
import socket
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from lookout.camera.interface import Camera
    from lookout.camera.raw import RawFrame
    from lookout.deadline import Deadline

READ_SLICE_S = 0.25  # the longest time until the service's closing of the socket is noticed


def bootstrap() -> None:
    """Make `lookout` importable from the folder of this file, without changing the import path."""
    if "lookout" in sys.modules:
        return
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location(
        "lookout", root / "__init__.py", submodule_search_locations=[str(root)]
    )
    if spec is None or spec.loader is None:
        raise SystemExit(f"The package in {root} cannot be loaded.")
    module = importlib.util.module_from_spec(spec)
    sys.modules["lookout"] = module
    spec.loader.exec_module(module)


class Slots:
    """The writing side of the shared memory file.

    least_room: minimum bytes of a slot, for a source whose pictures differ in size. Memory is only allocated for what
    is written.
    """

    def __init__(self, memory: int, count: int) -> None:
        self._memory, self._count = memory, count
        self._map: mmap.mmap | None = None
        self.room = 0
        self.least_room = 0
        self.free = list(range(count))

    def write(self, slot: int, pixels: NDArray[np.uint8]) -> None:
        """Copy the array into the slot, which is the only copy on this side."""
        import numpy as np

        target = np.frombuffer(self._mapped(pixels.nbytes), np.uint8, pixels.nbytes, slot * self.room)
        np.copyto(target.reshape(pixels.shape), pixels)

    def _mapped(self, size: int) -> mmap.mmap:
        from lookout.camera.isolation.protocol import room_for
        from lookout.errors import CameraError

        if self._map is None:
            self.room = room_for(max(size, self.least_room))
            os.ftruncate(self._memory, self.room * self._count)
            self._map = mmap.mmap(self._memory, self.room * self._count)
        if size > self.room:
            raise CameraError(
                "The camera's pictures became larger while it ran.", "It is opened again at the new size."
            )
        return self._map


class Worker:
    """Opens the source, then writes its frames to free slots until the service closes the socket."""

    def __init__(self, line: socket.socket, memory: int) -> None:
        from lookout.camera.isolation.protocol import SLOTS

        self._line = line
        self._slots = Slots(memory, SLOTS)

    def run(self) -> None:
        from lookout.camera.interface import EndOfSource
        from lookout.camera.isolation.protocol import END, pack_error
        from lookout.errors import CameraError, LookoutError

        camera = None
        try:
            camera = self._opened()
            while self._collect_slots():
                self._pass_frame(camera)
        except EndOfSource:
            self._send(END)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the service has ended, so this process ends too
        except LookoutError as error:
            self._send(pack_error(error))
        except Exception as error:
            traceback.print_exc()
            detail = f"The camera's program failed: {type(error).__name__}: {error}."
            self._send(pack_error(CameraError(detail, "If it happens again, please report it with the log.")))
        finally:
            if camera is not None:
                camera.close()

    def _opened(self) -> Camera:
        from lookout.camera import create, parse
        from lookout.camera.isolation.protocol import MAX_MESSAGE, MIN_ROOM, Hello, pack_ready
        from lookout.deadline import Deadline

        hello = Hello.unpack(self._line.recv(MAX_MESSAGE))
        sys.path += [entry for entry in hello.path if entry not in sys.path]
        self._slots.least_room = MIN_ROOM.get(parse(hello.address).kind, 0)
        camera = create(hello.address, hello.options, isolated=False)
        _one_thread()
        try:
            camera.open(Deadline.after(hello.seconds))
            self._line.send(pack_ready(camera.info))
        except BaseException:
            camera.close()
            raise
        return camera

    def _collect_slots(self) -> bool:
        """Collect the slots given back so far. Returns False if the service has closed the socket."""
        while True:
            try:
                message = self._line.recv(64, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            if not message:
                return False
            self._slots.free += sorted(set(message) - set(self._slots.free))

    def _pass_frame(self, camera: Camera) -> None:
        from lookout.camera.isolation.protocol import Layout, Picture
        from lookout.camera.repeats import mark_of
        from lookout.deadline import Deadline
        from lookout.errors import CameraSilent

        try:
            raw = read_raw(camera, Deadline.after(READ_SLICE_S))
        except CameraSilent:
            return
        if not self._collect_slots():
            raise BrokenPipeError
        if not self._slots.free:
            return  # the reader is too slow, so this frame is dropped
        slot = self._slots.free.pop()
        self._slots.write(slot, raw.pixels)
        layout = Layout(raw.pixels.shape, raw.format, raw.width, raw.height, raw.rotate, raw.flip, self._slots.room)
        mark = mark_of(raw.pixels) if raw.mark is None else raw.mark
        picture = Picture(slot, raw.captured_at, raw.sequence, mark, layout)
        self._line.send(picture.pack())

    def _send(self, message: bytes) -> None:
        try:
            self._line.send(message)
        except OSError:
            traceback.print_exc()


def read_raw(camera: Camera, deadline: Deadline) -> RawFrame:
    """Read the camera's next frame, unconverted if the camera can leave that to the service."""
    from lookout.camera.raw import RawFrame, RawSource

    if isinstance(camera, RawSource):
        return camera.read_raw(deadline)
    frame = camera.read(deadline)
    return RawFrame(frame.pixels, "BGR", frame.width, frame.height, frame.captured_at, frame.sequence, mark=frame.mark)


def _one_thread() -> None:
    """Keep OpenCV, if a source has loaded it, from starting a thread pool for a few conversions per second."""
    if "cv2" in sys.modules:
        import cv2

        cv2.setNumThreads(1)


def main(arguments: list[str]) -> int:
    """Run the script. The caller skips the interpreter's clean-up, which may wait forever for a driver's threads."""
    line, memory, life = (int(argument) for argument in arguments)
    bootstrap()
    from lookout.system.parent import die_with

    die_with(life)
    try:
        Worker(socket.socket(fileno=line), memory).run()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))

"""Folders of pictures, and single pictures, as sources.

Files are listed, opened and decoded on a thread with a deadline, because a disk may stop responding.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lookout.camera.convert import upright
from lookout.camera.interface import CameraInfo, CameraOptions, EndOfSource
from lookout.camera.sources.disk import refused
from lookout.deadline import Deadline
from lookout.errors import (
    CameraAbsent,
    CameraError,
    CameraSilent,
    CameraUnsupported,
    CameraWaiting,
    DecoderUnavailable,
    LookoutError,
    PictureError,
    PictureUnreadable,
)
from lookout.frame import Frame, Pixels
from lookout.pictures.decoder import Decoder
from lookout.pictures.folder import find_pictures
from lookout.pictures.limits import MAX_FILE_BYTES, DecodeLimits
from lookout.system.regular_files import open_regular

SLIDE_S = 2.0  # how long each picture of a folder is shown with `pace`
DECODE_S = 5.0  # a picture that takes longer is skipped
# Larger pictures are reduced to a half, a quarter or an eighth of their size, but not below a screen's height.
MIN_SIDE = 1080
OPEN_MARGIN_S = 0.5
MAX_STUCK = 3
_DEFAULT_FPS = 25.0
_CLOSED = ("The file was closed.", "Open it again.")
_STUCK: list[threading.Thread] = []


def natural(path: Path) -> list[tuple[int, int | str]]:
    """A sort key by which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


class FolderCamera:
    """The pictures of a folder in natural order, or one picture.

    With `pace`, each is delivered `fps` times per second for SLIDE_S seconds; without it, once. Files are selected by
    content. The notes of `info` say how many are left out; pictures that cannot be decoded are skipped and listed in
    `skipped`.
    """

    def __init__(self, rest: str, options: CameraOptions, kind: str = "folder") -> None:
        self._path, self._options, self._kind = Path(rest).expanduser(), options, kind
        self._source = f"{kind}:{rest}"
        self._closed = threading.Event()
        self._reader: _Reader | None = None
        self._info: CameraInfo | None = None
        self._shown: tuple[Path, Pixels] | None = None
        self._started, self._sequence = 0.0, 0
        self._skipped: list[str] = []

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"{self._source} is not open.", "Open it first.")
        return self._info

    @property
    def current(self) -> Path:
        """The file of the last frame."""
        assert self._shown is not None
        return self._shown[0]

    @property
    def skipped(self) -> list[str]:
        """The names of the pictures that could not be decoded when they were last tried."""
        return list(self._reader.skipped if self._reader else self._skipped)

    def open(self, deadline: Deadline) -> None:
        """List the pictures and read the first one.

        Raises CameraAbsent if there is no folder or no picture in it, CameraDenied, CameraUnsupported if no picture can
        be read, CameraSilent if the disk does not respond.
        """
        self.close()
        self._closed.clear()
        self._shown, self._info = None, None
        reader = self._reader = _Reader(self._path, self._kind, loop=self._options.loop)
        try:
            self._shown = reader.take(Deadline(deadline.at - OPEN_MARGIN_S))
        except CameraSilent:
            if not reader.listed:
                self.close()
                raise
            # The first pictures take long; the following ones are shown when they are ready.
        except EndOfSource:
            raise self._unreadable(reader) from None
        if self._closed.is_set():
            self.close()
            raise CameraError(*_CLOSED)
        self._info = self._describe(reader)
        self._started, self._sequence = time.monotonic(), 0

    def read(self, deadline: Deadline) -> Frame:
        """Return the next frame. Raises EndOfSource after the last picture, unless it loops."""
        reader = self._reader
        if self._closed.is_set() or reader is None:
            raise CameraError(*_CLOSED)
        try:
            return self._due(reader, deadline) if self._options.pace else self._unpaced(reader, deadline)
        except EndOfSource:
            if self._shown is None:  # it was opened before the first picture was read
                raise self._unreadable(reader) from None
            raise

    def close(self) -> None:
        self._closed.set()
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
            self._skipped = reader.skipped

    @property
    def _rate(self) -> float:
        return self._options.fps if self._options.fps > 0 else _DEFAULT_FPS

    def _unreadable(self, reader: _Reader) -> CameraUnsupported:
        return CameraUnsupported(f"No picture in {self._path} can be read.", reader.reason)

    def _describe(self, reader: _Reader) -> CameraInfo:
        size = (self._options.width, self._options.height)
        if self._shown is not None:
            size = (self._shown[1].shape[1], self._shown[1].shape[0])
        fps = self._rate if self._options.pace else None
        notes = (reader.left_out,) if reader.left_out else ()
        return CameraInfo(self._kind, self._path.name or str(self._path), *size, fps, live=False, notes=notes)

    def _due(self, reader: _Reader, deadline: Deadline) -> Frame:
        due = self._started + self._sequence / self._rate
        if self._closed.wait(max(0.0, min(due - time.monotonic(), deadline.remaining()))):
            raise CameraError(*_CLOSED)
        if time.monotonic() < due:
            raise CameraWaiting("The next picture is not due yet.", "Wait a little longer.")
        if self._shown is None or (self._sequence and self._sequence % max(1, round(SLIDE_S * self._rate)) == 0):
            self._shown = reader.take(deadline)
            self._started += max(0.0, time.monotonic() - due)  # lost time is not made up for
        return self._frame(self._shown[1], time.monotonic())

    def _unpaced(self, reader: _Reader, deadline: Deadline) -> Frame:
        if self._sequence or self._shown is None:
            self._shown = reader.take(deadline)
        return self._frame(self._shown[1], self._started + self._sequence * SLIDE_S)

    def _frame(self, pixels: Pixels, captured_at: float) -> Frame:
        self._sequence += 1
        turned = np.ascontiguousarray(upright(pixels, self._options.rotate, self._options.flip))
        return Frame(turned, captured_at, self._sequence - 1, self._source)


class _Reader:
    """Reads one picture ahead, on its own thread. `take` may be called by one thread, `close` by any."""

    def __init__(self, path: Path, kind: str, *, loop: bool) -> None:
        """Start the thread. Raises CameraSilent while too many earlier readers wait for a disk, or CameraError."""
        self._path, self._kind, self._loop = path, kind, loop
        self._decoder = Decoder()
        self._changed = threading.Condition()
        self._next: tuple[Path, Pixels] | Exception | None = None
        self._over = False
        self.listed = False
        self.left_out = ""
        self.reason = "Check the files."
        self.skipped: list[str] = []
        _STUCK[:] = [thread for thread in _STUCK if thread.is_alive()]
        if len(_STUCK) >= MAX_STUCK:
            raise _silent(path)
        self._thread = threading.Thread(target=self._run, name="folder", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise CameraError("The system is out of threads.", "It is tried again.") from error

    def take(self, deadline: Deadline) -> tuple[Path, Pixels]:
        """Return the next picture with its path.

        Raises CameraSilent or CameraWaiting if it is late, EndOfSource, or another CameraError.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._next is not None or self._over, deadline.remaining()):
                if self.listed:
                    raise CameraWaiting("The next picture is being read.", "Wait a little longer.")
                raise _silent(self._path)
            if self._over:
                raise CameraError(*_CLOSED)
            taken = self._next
            if isinstance(taken, Exception):
                raise taken
            self._next = None
            self._changed.notify_all()
        assert taken is not None
        return taken

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._decoder.close()
        if self._thread.is_alive():
            _STUCK.append(self._thread)

    def _run(self) -> None:
        try:
            for picture in self._pictures():
                if not self._put(picture):
                    return
            self._put(EndOfSource())
        except LookoutError as error:
            self._put(error if isinstance(error, CameraError) else CameraError(error.detail, error.remedy))
        except Exception as error:  # otherwise the camera would wait for this thread forever
            self._put(error)
        finally:
            self._decoder.close()

    def _put(self, item: tuple[Path, Pixels] | Exception) -> bool:
        """Hand over an item once the previous one was taken. Returns False if the reader was closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._next is None or self._over)
            self._next = item
            self._changed.notify_all()
            return not self._over

    def _pictures(self) -> Iterator[tuple[Path, Pixels]]:
        paths = self._listed()
        self.listed = True
        failed = 0  # failures in a row
        while failed < len(paths):
            self.skipped = []
            for path in paths:
                pixels = self._decoded(path)
                failed = 0 if pixels is not None else failed + 1
                if pixels is not None:
                    yield path, pixels
            if not self._loop:
                return

    def _listed(self) -> list[Path]:
        if self._kind != "folder":
            _check(self._path, folder=False)
            return [self._path]
        _check(self._path, folder=True)
        try:
            paths, left_out = find_pictures(self._path)
        except OSError as error:
            raise refused(self._path, "folder", error) from error
        self.left_out = left_out.sentence()
        if not paths:
            remedy = self.left_out or "Put JPEG, PNG, WebP, BMP, TIFF or GIF pictures there."
            raise CameraAbsent(f"The folder {self._path} contains no pictures.", remedy)
        return sorted(paths, key=natural)

    def _decoded(self, path: Path) -> Pixels | None:
        """Decode a picture; None if it cannot be decoded."""
        try:
            try:
                with open_regular(path, MAX_FILE_BYTES, follow_links=True) as file:
                    limits = DecodeLimits(MAX_FILE_BYTES, min_side=MIN_SIDE)
                    return self._decoder.read(file.fileno(), limits, DECODE_S).pixels
            except OSError as error:
                raise PictureUnreadable(f"The file cannot be read: {error.strerror}.", "Check the file.") from error
        except DecoderUnavailable:
            raise
        except PictureError as error:
            self.skipped.append(path.name)
            self.reason = f"{path.name}: {error.detail}"
            return None


def _check(path: Path, *, folder: bool) -> None:
    """Check that the path exists and is a folder or a file. Raises CameraError."""
    noun = "folder" if folder else "file"
    try:
        path.stat()
        right = path.is_dir() if folder else path.is_file()
    except OSError as error:
        raise refused(path, noun, error) from error
    if not right:
        other = "folder:" if path.is_dir() else "file:" if path.is_file() else ""
        remedy = f"Use {other}{path}." if other else "It is a pipe or a device; name a film or a picture."
        raise CameraUnsupported(f"{path} is not a {noun}.", remedy)


def _silent(path: Path) -> CameraSilent:
    return CameraSilent(f"Nothing could be read from {path} in time.", "Check the disk or share that holds it.")

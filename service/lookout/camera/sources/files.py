"""Video files, pictures and folders of pictures as sources, at their own pace or as fast as asked."""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from lookout.camera.convert import upright
from lookout.camera.interface import Camera, CameraInfo, CameraOptions, EndOfSource
from lookout.camera.sources.video import Decoded, NoVideo, Video, VideoBroken, open_film
from lookout.errors import CameraAbsent, CameraDenied, CameraError, CameraUnsupported, CameraWaiting
from lookout.frame import Deadline, Frame

Pixels = NDArray[np.uint8]

PICTURES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})
SLIDE_S = 2.0  # a folder's picture stays so long when it keeps its own pace
_DEFAULT_FPS = 25.0
CLOSE_S = 1.0  # a read that takes longer waits for a disk
_CLOSED = ("The file was closed.", "Open it again.")
_CONVERT = "Convert it, e.g. with ffmpeg -i FILE clip.mp4."


def open_file(rest: str, options: CameraOptions) -> Camera:
    """The source for `file:rest`: a video, or a single picture."""
    if Path(rest).suffix.lower() in PICTURES:
        return FolderCamera(rest, options, kind="file")
    return VideoCamera(rest, options)


def natural(path: Path) -> list[tuple[int, int | str]]:
    """A sort key by which 2.jpg comes before 10.jpg."""
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts if part]


class VideoCamera:
    """A video file.

    With `pace`, `read` waits until a frame is due and skips those it is too late for. Without it every frame comes at
    once, and `captured_at` runs on in the video's own time from the moment of opening, so that whoever measures time
    between frames sees the video's, however fast it is read.
    """

    def __init__(self, rest: str, options: CameraOptions) -> None:
        self._path, self._options = Path(rest).expanduser(), options
        self._source = f"file:{rest}"
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._video: Video | None = None
        self._pending: deque[Decoded] = deque()
        self._info: CameraInfo | None = None
        self._started = self._position = self._before = 0.0
        self._sequence = self._begun_with = 0
        self._fps = _DEFAULT_FPS

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"{self._source} is not open.", "Open it first.")
        return self._info

    def open(self, deadline: Deadline) -> None:
        """Raises CameraAbsent, CameraDenied or CameraUnsupported, also where no picture of it can be decoded."""
        self.close()
        self._closed.clear()
        video = self._begun()
        self._fps = video.fps or _DEFAULT_FPS
        self._pending.clear()
        first = self._first(video, deadline)
        nominal = self._fps if self._options.pace else None
        self._info = CameraInfo("file", self._path.name, first.shape[1], first.shape[0], nominal, live=False)
        self._video, self._sequence, self._begun_with = video, 0, 0
        self._started, self._position, self._before = time.monotonic(), 0.0, 0.0

    def read(self, deadline: Deadline) -> Frame:
        """The next frame, or the newest due one with `pace`. EndOfSource after the last, unless it loops."""
        skipped = 0  # bounded, for a machine too slow for the video's own speed
        with self._lock:
            while True:
                video = self._video
                if video is None or self._closed.is_set():
                    raise CameraError(*_CLOSED)
                due = self._started + self._position
                if self._options.pace:
                    self._wait_until(due, deadline)
                decoded = self._next(video, deadline)
                if decoded is None:
                    self._over()
                    continue
                self._advance(decoded)
                behind = time.monotonic() - (self._started + self._position)
                if self._options.pace and behind > 0 and not deadline.passed and skipped < self._fps:
                    skipped += 1
                    continue  # the frame after this one is due already
                picture = video.pixels(decoded, self._options.rotate, self._options.flip)
                if picture is not None:  # a damaged frame is passed over, the next one may be sound
                    return self._frame(picture, due)

    def close(self) -> None:
        """Bounded: a read that the disk keeps waiting is left behind, and with it what it holds."""
        self._closed.set()
        if not self._lock.acquire(timeout=CLOSE_S):
            return
        try:
            video, self._video = self._video, None
            if video is not None:
                video.close()
        finally:
            self._lock.release()

    def _begun(self) -> Video:
        _readable(self._path, folder=False)
        try:
            return open_film(self._path)
        except (NoVideo, VideoBroken, OSError):
            raise CameraUnsupported(f"{self._path.name} is no video that can be read.", _CONVERT) from None

    def _first(self, video: Video, deadline: Deadline) -> Pixels:
        """The first picture that can be decoded; it stays pending."""
        try:
            while decoded := self._next(video, deadline):
                picture = video.pixels(decoded, self._options.rotate, self._options.flip)
                if picture is not None:
                    self._pending.appendleft(decoded)
                    return picture
        except CameraError:
            video.close()
            raise
        video.close()
        raise CameraUnsupported(f"{self._path.name} holds no picture that can be decoded.", _CONVERT)

    def _next(self, video: Video, deadline: Deadline) -> Decoded | None:
        """The next picture, None at the end; a film that is damaged further on ends there."""
        while not self._pending:
            if self._closed.is_set():
                raise CameraError(*_CLOSED)
            try:
                self._pending.extend(video.step())
            except (EOFError, VideoBroken):
                return None
            if deadline.passed and not self._pending:
                raise CameraWaiting(f"The next picture of {self._path.name} is being looked for.", "Wait a little.")
        return self._pending.popleft()

    def _advance(self, decoded: Decoded) -> None:
        """Count the frame and foresee when the next one is due, from the file's own times where it has them."""
        self._sequence += 1
        stamp = self._before if decoded.at is None else decoded.at
        step = stamp - self._before if 0 < stamp - self._before < 10 else 1 / self._fps
        self._before = stamp
        self._position += step if self._sequence > 1 else 1 / self._fps

    def _over(self) -> None:
        if not self._options.loop:
            raise EndOfSource
        if self._sequence == self._begun_with:  # it was written over since it was opened
            raise CameraUnsupported(f"{self._path.name} holds no picture that can be decoded.", _CONVERT)
        if self._video is not None:
            self._video.close()
        self._video, self._before, self._begun_with = self._begun(), 0.0, self._sequence

    def _frame(self, pixels: Pixels, due: float) -> Frame:
        captured_at = min(due, time.monotonic()) if self._options.pace else due
        return Frame(pixels, captured_at, self._sequence - 1, self._source)

    def _wait_until(self, due: float, deadline: Deadline) -> None:
        if self._closed.wait(max(0.0, min(due - time.monotonic(), deadline.remaining()))):
            raise CameraError(*_CLOSED)
        if time.monotonic() < due:
            raise CameraWaiting("The video's next frame is not due yet.", "Wait a little longer.")


class FolderCamera:
    """The pictures of a folder in natural order, or one picture.

    With `pace` each stays for SLIDE_S seconds, delivered `fps` times a second; without it each comes once.
    Pictures that cannot be read are passed over and named in `skipped`.
    """

    def __init__(self, rest: str, options: CameraOptions, kind: str = "folder") -> None:
        self._path, self._options, self._kind = Path(rest).expanduser(), options, kind
        self._source = f"{kind}:{rest}"
        self._closed = threading.Event()
        self._paths: list[Path] = []
        self._info: CameraInfo | None = None
        self._at = -1
        self._picture: Pixels | None = None
        self._started, self._sequence = 0.0, 0
        self.skipped: list[str] = []

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"{self._source} is not open.", "Open it first.")
        return self._info

    @property
    def current(self) -> Path:
        """The file the last frame came from."""
        return self._paths[self._at]

    def open(self, deadline: Deadline) -> None:  # noqa: ARG002 - local files
        """Raises CameraAbsent for no folder or no picture in it, CameraDenied, CameraUnsupported for none readable."""
        self._closed.clear()
        self.skipped = []
        _readable(self._path, folder=self._kind == "folder")
        self._paths = _pictures(self._path) if self._kind == "folder" else [self._path]
        if not self._paths:
            raise CameraAbsent(
                f"The folder {self._path} holds no pictures.", f"It takes {', '.join(sorted(PICTURES))}."
            )
        self._at = -1
        try:
            self._picture = self._next()
        except EndOfSource:
            raise CameraUnsupported(f"No picture in {self._path} can be read.", "Check the files.") from None
        height, width = self._picture.shape[:2]
        fps = self._rate if self._options.pace else None
        self._info = CameraInfo(self._kind, self._path.name or str(self._path), width, height, fps, live=False)
        self._started, self._sequence = time.monotonic(), 0

    def read(self, deadline: Deadline) -> Frame:
        """The next frame. EndOfSource after the last picture, unless it loops."""
        if self._closed.is_set():
            raise CameraError(*_CLOSED)
        if not self._options.pace:
            return self._unpaced()
        due = self._started + self._sequence / self._rate
        if self._closed.wait(max(0.0, min(due - time.monotonic(), deadline.remaining()))):
            raise CameraError(*_CLOSED)
        now = time.monotonic()
        if now < due:
            raise CameraWaiting("The next picture is not due yet.", "Wait a little longer.")
        if self._sequence and self._sequence % max(1, round(SLIDE_S * self._rate)) == 0:
            self._picture = self._next()
        return self._frame(now)

    def close(self) -> None:
        self._closed.set()

    @property
    def _rate(self) -> float:
        return self._options.fps if self._options.fps > 0 else _DEFAULT_FPS

    def _unpaced(self) -> Frame:
        if self._sequence:
            self._picture = self._next()
        return self._frame(self._started + self._sequence * SLIDE_S)

    def _frame(self, captured_at: float) -> Frame:
        assert self._picture is not None
        self._sequence += 1
        return Frame(self._picture, captured_at, self._sequence - 1, self._source)

    def _next(self) -> Pixels:
        """The next picture that can be read."""
        for _ in range(len(self._paths)):
            self._at += 1
            if self._at >= len(self._paths):
                if not self._options.loop:
                    break
                self._at = 0
            picture = _picture(self._paths[self._at])
            if picture is not None:
                return _upright(picture, self._options)
            self.skipped.append(self._paths[self._at].name)
        raise EndOfSource


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        (path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")),
        key=natural,
    )


def _picture(path: Path) -> Pixels | None:
    """A picture file as BGR, turned as its EXIF orientation says; None when it cannot be read."""
    try:
        data = np.fromfile(path, dtype=np.uint8)  # not imread, which warns on stderr and stumbles over odd file names
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error):
        return None
    return None if picture is None else np.asarray(picture, dtype=np.uint8)


def _upright(picture: object, options: CameraOptions) -> Pixels:
    turned = upright(np.asarray(picture, dtype=np.uint8), options.rotate, options.flip)
    return np.ascontiguousarray(turned)


def _readable(path: Path, *, folder: bool) -> None:
    noun = "folder" if folder else "file"
    try:
        path.stat()
        right = path.is_dir() if folder else path.is_file()
        if right:
            any(path.iterdir()) if folder else path.open("rb").close()
    except PermissionError:
        raise CameraDenied(f"This user may not read {path}.", "Change its permissions, or copy it.") from None
    except OSError:
        raise CameraAbsent(f"There is no {noun} {path}.", "Check the path.") from None
    if not right:
        other = "folder:" if path.is_dir() else "file:"
        raise CameraUnsupported(f"{path} is no {noun}.", f"Use {other}{path}.")

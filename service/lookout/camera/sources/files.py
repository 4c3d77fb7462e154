"""Video files as sources, at their own pace or as fast as requested."""

from __future__ import annotations

import threading
import time
from collections import deque
from pathlib import Path

from lookout.camera.interface import Camera, CameraInfo, CameraOptions, EndOfSource
from lookout.camera.sources.disk import check_disk, refused
from lookout.camera.sources.folder import FolderCamera
from lookout.camera.sources.video import Decoded, NoVideo, Video, VideoBroken, open_film
from lookout.deadline import Deadline, DeadlineExceeded, run_with_deadline
from lookout.errors import CameraError, CameraSilent, CameraUnsupported, CameraWaiting
from lookout.frame import Frame, Pixels
from lookout.pictures.folder import is_picture_file

LOOK_S = 2.0
_DEFAULT_FPS = 25.0
CLOSE_S = 1.0  # a read that takes longer is waiting for a disk
_CLOSED = ("The file was closed.", "Open it again.")
_CONVERT = "Convert it, e.g. with ffmpeg -i FILE clip.mp4."


def open_file(rest: str, options: CameraOptions) -> Camera:
    """Create the source for `file:rest`: a video or a single picture, depending on the content.

    Raises CameraSilent if its disk does not respond.
    """
    path = Path(rest).expanduser()
    try:
        picture = run_with_deadline(lambda: is_picture_file(path), Deadline.after(LOOK_S), "looking at a file")
    except DeadlineExceeded as error:
        raise CameraSilent(f"Nothing could be read from {path} in time.", "Check the disk or share.") from error
    except OSError:
        picture = False  # reported when it is opened
    return FolderCamera(rest, options, kind="file") if picture else VideoCamera(rest, options)


class VideoCamera:
    """A video file.

    With `pace`, `read` waits until a frame is due and skips overdue frames. Without it, every frame is returned at
    once, and `captured_at` advances in the video's own time, starting when it was opened, so that the time between
    frames is the video's, however fast it is read.
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
        """Open the video. Raises CameraError; it is CameraUnsupported if no picture can be decoded."""
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
        """Return the next frame, or with `pace` the newest due. Raises EndOfSource at the end, unless it loops."""
        skipped = 0  # limited, for a machine that is too slow for the video
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
                    continue  # the next frame is due already
                picture = video.pixels(decoded, self._options.rotate, self._options.flip)
                if picture is not None:  # a damaged frame is skipped, the next one may be sound
                    return self._frame(picture, due)

    def close(self) -> None:
        """Close the video within CLOSE_S. A read that waits for the disk is abandoned, with its resources."""
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
        _readable(self._path)
        try:
            return open_film(self._path)
        except (NoVideo, VideoBroken, OSError):
            check_disk(self._path)
            raise CameraUnsupported(f"{self._path.name} is not a video that can be read.", _CONVERT) from None

    def _first(self, video: Video, deadline: Deadline) -> Pixels:
        """Return the first picture that can be decoded; it remains pending."""
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
        raise CameraUnsupported(f"{self._path.name} contains no picture that can be decoded.", _CONVERT)

    def _next(self, video: Video, deadline: Deadline) -> Decoded | None:
        """Return the next picture, None at the end. A film whose rest is damaged ends there.

        Raises CameraError if its disk fails, CameraAbsent if the disk has gone.
        """
        while not self._pending:
            if self._closed.is_set():
                raise CameraError(*_CLOSED)
            try:
                self._pending.extend(video.step())
            except EOFError:
                return None
            except VideoBroken:
                check_disk(self._path, video.position)
                return None
            if deadline.passed and not self._pending:
                raise CameraWaiting(f"The next picture of {self._path.name} is being looked for.", "Wait a little.")
        return self._pending.popleft()

    def _advance(self, decoded: Decoded) -> None:
        """Count the frame and compute when the next one is due, from the file's timestamps if it has them."""
        self._sequence += 1
        stamp = self._before if decoded.at is None else decoded.at
        step = stamp - self._before if 0 < stamp - self._before < 10 else 1 / self._fps
        self._before = stamp
        self._position += step if self._sequence > 1 else 1 / self._fps

    def _over(self) -> None:
        if not self._options.loop:
            raise EndOfSource
        if self._sequence == self._begun_with:  # the file was overwritten since it was opened
            raise CameraUnsupported(f"{self._path.name} contains no picture that can be decoded.", _CONVERT)
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


def _readable(path: Path) -> None:
    try:
        path.stat()
        right = path.is_file()
        if right:
            path.open("rb").close()
    except OSError as error:
        raise refused(path, "file", error) from None
    if not right:
        remedy = f"Use folder:{path}." if path.is_dir() else "It is a pipe or a device; name a film or a picture."
        raise CameraUnsupported(f"{path} is not a file.", remedy)

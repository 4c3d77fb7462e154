"""Network streams, RTSP and HTTP, through OpenCV's FFmpeg: low latency, time-outs that fire, no hidden backlog."""

from __future__ import annotations

import time
from collections import deque

import cv2
import numpy as np

from lookout.camera.address import parse, redact
from lookout.camera.convert import turned_size, upright
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.camera.sources.ffmpeg import opened
from lookout.camera.sources.grabber import Grabber, Taken
from lookout.camera.sources.probe import reason
from lookout.errors import CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Deadline, Frame

READ_TIMEOUT_S = 5.0  # a stream silent for so long is broken; the caller's deadlines are shorter
OPEN_SHARE = 0.6  # of the time to open goes to FFmpeg; the rest is for finding out why it failed

# TCP: over UDP a lost packet smears the picture. The rest keeps FFmpeg from collecting frames before it hands any on.
_FFMPEG = "rtsp_transport;{transport}|fflags;nobuffer|flags;low_delay|max_delay;200000|analyzeduration;1000000"
_PTS_WINDOW_S = 3.0


class ArrivalClock:
    """When a frame was caught, from its time in the stream and the moment it arrived.

    A frame that a stalled connection held back arrives late, but says by its time in the stream how late. The least
    delay of the last few seconds stands for "not held back"; a constant shift of the stream's clock is forgotten
    after that window.
    """

    def __init__(self) -> None:
        self._delays: deque[tuple[float, float]] = deque()
        self._last = -1.0

    def captured_at(self, in_stream: float, arrived: float) -> float:
        """Both in seconds, `arrived` and the result on the monotonic clock; never later than `arrived`."""
        if in_stream <= self._last:
            self._delays.clear()  # the stream began again, or has no times at all
        self._last = in_stream
        delay = arrived - in_stream
        while self._delays and self._delays[0][0] < arrived - _PTS_WINDOW_S:
            self._delays.popleft()
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((arrived, delay))
        return min(arrived, in_stream + self._delays[0][1])


class StreamCamera:
    """An RTSP or HTTP stream. The address is kept out of every message; only its redacted form is shown."""

    def __init__(self, address: str, options: CameraOptions) -> None:
        self._address, self._options = address, options
        self._kind = parse(address).kind
        self._shown = redact(address)
        self._clock = ArrivalClock()
        self._info: CameraInfo | None = None
        self._grabber: Grabber[cv2.VideoCapture] | None = None

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"The stream {self._shown} is not open.", "Open it first.")
        return self._info

    def open(self, deadline: Deadline) -> None:
        """Connect. Raises CameraAbsent, CameraDenied, CameraSilent or CameraUnsupported with what a probe found out."""
        self.close()
        self._clock = ArrivalClock()
        self._grabber = Grabber(self._shown, lambda: self._connected(deadline), self._take)
        late = CameraSilent(f"The stream {self._shown} did not open in time.", "Check that the camera is on.")
        try:
            self._grabber.open(deadline, late)
        except CameraError:
            self.close()
            raise

    def read(self, deadline: Deadline) -> Frame:
        """The newest frame."""
        if self._grabber is None:
            raise CameraError(f"The stream {self._shown} was closed.", "Open it again.")
        taken, sequence = self._grabber.next(deadline)
        return Frame(taken.pixels, taken.captured_at, sequence, self._shown)

    def close(self) -> None:
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.stop()

    def _connected(self, deadline: Deadline) -> cv2.VideoCapture:
        options = self._options
        transport = str(options.controls.get("transport", "tcp"))
        low_latency = _FFMPEG.format(transport="udp" if transport == "udp" else "tcp")
        limit = max(1, int(deadline.remaining() * OPEN_SHARE * 1000))
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(READ_TIMEOUT_S * 1000)]
        capture = opened(self._address, low_latency, limits)
        if not capture.isOpened():
            capture.release()
            raise reason(self._address, deadline)
        width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if width <= 0 or height <= 0:
            capture.release()
            raise CameraUnsupported(f"The stream {self._shown} holds no video.", "Check the address.")
        notes = [
            f"The control '{name}' is unknown for streams and was skipped."
            for name in options.controls
            if name != "transport"
        ]
        fps = float(capture.get(cv2.CAP_PROP_FPS))
        # MJPEG over HTTP carries no rate; FFmpeg then says 25.
        nominal = fps if self._kind == "rtsp" and 0 < fps <= 240 else None
        shown = turned_size(width, height, options.rotate)
        self._info = CameraInfo(self._kind, self._shown, *shown, nominal, live=True, notes=tuple(notes))
        return capture

    def _take(self, capture: cv2.VideoCapture) -> Taken | None:
        if not capture.grab():
            # Not CameraSilent: nothing will come of this connection any more, so nobody should wait for it.
            raise CameraError(f"The stream {self._shown} ended or fell silent.", "It is opened again.")
        now = time.monotonic()
        got, picture = capture.retrieve()
        if not got or picture is None:
            return None
        captured_at = now
        if self._kind == "rtsp":
            captured_at = self._clock.captured_at(float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000, now)
        pixels = upright(np.asarray(picture, np.uint8), self._options.rotate, self._options.flip)
        return Taken(np.ascontiguousarray(pixels), captured_at)

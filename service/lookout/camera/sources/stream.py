"""Network streams, RTSP and HTTP, with low latency, working timeouts and no hidden backlog."""

from __future__ import annotations

import av
import av.error

from lookout.camera.address import parse
from lookout.camera.convert import turned_size
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.camera.sources.grabber import Grabber
from lookout.camera.sources.http_feed import open_http
from lookout.camera.sources.probe import reason
from lookout.camera.sources.video import NoVideo, Video
from lookout.camera.sources.video_feed import Feed, VideoFeed
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Frame
from lookout.redaction import redact

READ_TIMEOUT_S = 5.0  # a stream silent for this long is broken; the caller's deadlines are shorter
OPEN_SHARE = 0.6  # share of the time to open for FFmpeg; the rest is for finding out why it failed
FIRST_SHARE = 0.8  # share of it for the first picture; a stream without one by then still counts as open

# "nobuffer" is not set, since it discards the data that FFmpeg read to detect the stream's type, with the first key
# frame; the next may come a minute later. The frame rate is not measured first, which would take several more frames.
_RTSP = {
    "max_delay": "200000",
    "analyzeduration": "500000",
    "fpsprobesize": "0",
    "allowed_media_types": "video",
    "timeout": str(int(READ_TIMEOUT_S * 1e6)),
}
# TCP is preferred, since over UDP a lost packet smears the picture. With a camera that only supports UDP, UDP is used.
_TRANSPORTS = {
    "auto": {"rtsp_flags": "prefer_tcp"},
    "tcp": {"rtsp_transport": "tcp"},
    "udp": {"rtsp_transport": "udp"},
    "multicast": {"rtsp_transport": "udp_multicast"},
    "http": {"rtsp_transport": "http"},
}
_CONTROLS = {"rtsp": frozenset({"transport"}), "http": frozenset({"certificate"})}


class StreamCamera:
    """An RTSP or HTTP stream. The address is kept out of every message; only its redacted form is shown."""

    def __init__(self, address: str, options: CameraOptions) -> None:
        self._address, self._options = address, options
        self._kind = parse(address).kind
        self._shown = redact(address)
        self._info: CameraInfo | None = None
        self._feed: Feed | None = None
        self._size = (0, 0)
        self._grabber: Grabber[Feed] | None = None

    @property
    def info(self) -> CameraInfo:
        if self._info is None:
            raise CameraError(f"The stream {self._shown} is not open.", "Open it first.")
        return self._info

    def open(self, deadline: Deadline) -> None:
        """Connect. Raises CameraAbsent, CameraDenied, CameraSilent or CameraUnsupported with the result of a probe.

        A stream whose first picture takes longer than the deadline counts as open; its size is 0 until then.
        """
        self.close()
        grabber: Grabber[Feed] = Grabber(self._shown, lambda: self._connected(deadline), lambda feed: feed.take())
        self._grabber = grabber
        late = CameraSilent(f"The stream {self._shown} did not open in time.", "Check that the camera is on.")
        try:
            grabber.open(deadline, late)
            first = grabber.first(Deadline.after(deadline.remaining() * FIRST_SHARE))
            feed = self._feed
            assert feed is not None
        except CameraError:
            self.close()
            raise
        width, height = self._size if first is None else (first.pixels.shape[1], first.pixels.shape[0])
        notes = (*self._notes(), *feed.notes)
        self._info = CameraInfo(self._kind, self._shown, width, height, feed.fps, live=feed.live, notes=notes)

    def read(self, deadline: Deadline) -> Frame:
        """The newest frame."""
        if self._grabber is None:
            raise CameraError(f"The stream {self._shown} was closed.", "Open it again.")
        taken, sequence = self._grabber.next(deadline)
        return Frame(taken.pixels, taken.captured_at, sequence, self._shown, taken.mark)

    def close(self) -> None:
        grabber, self._grabber = self._grabber, None
        if grabber is not None:
            grabber.stop()

    def _connected(self, deadline: Deadline) -> Feed:
        grabber = self._grabber
        if grabber is None:
            raise CameraError(f"The stream {self._shown} was closed while it opened.", "Open it again.")
        if self._kind == "http":
            feed = open_http(self._address, self._options, deadline, grabber.hear)
        else:
            video = self._rtsp(deadline)
            self._size = turned_size(*video.size, self._options.rotate)
            feed = VideoFeed(video, self._shown, self._options, grabber.hear)
        self._feed = feed
        return feed

    def _rtsp(self, deadline: Deadline) -> Video:
        transport = str(self._options.controls.get("transport", "auto")).lower()
        options = {**_RTSP, **_TRANSPORTS.get(transport, _TRANSPORTS["auto"])}
        limit = max(1.0, deadline.remaining() * OPEN_SHARE)
        try:
            return Video(av.open(self._address, "r", options=options, timeout=(limit, READ_TIMEOUT_S)), live=True)
        except NoVideo:
            raise CameraUnsupported(f"The stream {self._shown} contains no video.", "Check the address.") from None
        except (av.error.FFmpegError, ValueError):  # whose text contains the address with its password
            pass
        raise reason(self._address, deadline)

    def _notes(self) -> list[str]:
        known = _CONTROLS[self._kind]
        notes = [
            f"The control '{name}' is unknown for {self._kind} streams and was skipped."
            for name in self._options.controls
            if name not in known
        ]
        transport = self._options.controls.get("transport", "auto")
        if self._kind == "rtsp" and str(transport).lower() not in _TRANSPORTS:
            notes.append(f"The transport {transport!r} is unknown; it may be {', '.join(_TRANSPORTS)}.")
        return notes

"""Opens web addresses as sources, by their content: a stream of JPEGs, single pictures to poll, or a video."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from io import BytesIO

import av
import av.error
import numpy as np

from lookout.camera.address import parse
from lookout.camera.convert import upright
from lookout.camera.interface import CameraOptions
from lookout.camera.sources.arrival import ArrivalClock, Standstill
from lookout.camera.sources.connection import silent
from lookout.camera.sources.grabber import Taken
from lookout.camera.sources.http_client import PIECE, HttpClient, Response
from lookout.camera.sources.part_stream import scanner_for
from lookout.camera.sources.snapshots import SnapshotFeed, decoded
from lookout.camera.sources.video import NoVideo, Video, VideoBroken
from lookout.camera.sources.video_feed import Feed, VideoFeed
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraSilent, CameraUnsupported, PictureError
from lookout.redaction import redact

Hear = Callable[[], None]

SILENT_S = 5.0  # a stream silent for this long is broken; the caller's deadlines are shorter
SLICE_S = 0.25  # the longest the reader waits before checking whether it is still wanted
HEAD_BYTES, ENOUGH_BYTES = 512, 16  # enough to recognise every format, and most formats
MAX_PICTURE_BYTES = 64 * 2**20
MAX_WHOLE_BYTES = 64 * 2**20  # a smaller video is downloaded completely, since some have their index at the end
SAME_FILE = 3
DAMAGED = 30  # after this many undecodable pictures in a row, the source has failed
_VIDEO = (b"FLV", b"\x1aE\xdf\xa3", b"OggS", b"\x00\x00\x01", b"\x00\x00\x00\x01", b"0&\xb2u")


def open_http(address: str, options: CameraOptions, deadline: Deadline, hear: Hear) -> Feed:
    """Request the address and open its content. hear: called whenever bytes arrive. Raises CameraError."""
    client = HttpClient(address, any_certificate=options.controls.get("certificate") == "any")
    response = client.get(deadline)
    try:
        head = _beginning(response, deadline)
        kind = kind_of(response.type, head, ends=response.length is not None)
        if kind == "pictures":
            return JpegFeed(client, response, head, options, hear)
        if kind == "picture":
            rest = response.read_all(MAX_PICTURE_BYTES - len(head), deadline)
            client.keep(response)
            return SnapshotFeed(client, response, head + rest, options, hear)
        if kind == "video":
            return _video_feed(response, head, options, deadline, hear)
        response.close()
        if kind == "playlist":
            return _playlist(address, options, deadline, hear)
    except TimeoutError:
        response.close()
        raise silent(redact(address)) from None
    except BaseException:
        response.close()
        raise
    raise _page(address)


def fetch_picture(address: str, answer_s: float, whole_s: float, limit: int) -> tuple[bytes | None, list[str]]:
    """Return the picture at an address, or the first one of a JPEG stream; None if it is a video to be decoded.

    answer_s: seconds until the response starts; whole_s: seconds for the rest. limit: bytes; at most one more is read.
    The second value is a list of warnings about certificates. Raises CameraError.
    """
    client = HttpClient(parse(address).rest)
    response = client.get(Deadline.after(answer_s))
    deadline = Deadline.after(whole_s)
    try:
        head = _beginning(response, deadline)
        kind = kind_of(response.type, head, ends=response.length is not None)
        if kind == "picture":
            return head + response.read_all(limit - len(head), deadline), client.doubts
        if kind == "pictures":
            return _first_picture(response, head, deadline), client.doubts
    except TimeoutError:
        raise CameraSilent(
            f"{redact(address)} is too slow: its picture was not complete after {whole_s:g} s.",
            "Check the network connection, or choose a smaller picture.",
        ) from None
    finally:
        response.close()
    if kind == "page":
        raise _page(address)
    return None, client.doubts


def _first_picture(response: Response, piece: bytes, deadline: Deadline) -> bytes:
    scanner = scanner_for(piece)
    while piece:
        if found := scanner.feed(piece, 0.0):
            return found[0].data
        if scanner.damaged >= DAMAGED:
            raise _damaged(response)
        if deadline.passed:
            raise TimeoutError
        piece = response.read(deadline)
    raise _over(response)


def _page(address: str) -> CameraError:
    return CameraUnsupported(
        f"{redact(address)} is a web page, not a stream.", "Look the stream's own address up in the camera's manual."
    )


def kind_of(content_type: str, head: bytes, *, ends: bool) -> str:
    """The kind of a response, by its first bytes, or by its content type if they are unknown. ends: has a known length.

    One of "pictures", "picture", "video", "playlist" and "page".
    """
    text = head.lstrip().lower()
    if head.startswith((b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")) or head[8:12] == b"WEBP":
        return "picture"
    if content_type.startswith("multipart/") or text.startswith((b"--", b"content-")) or b"\xff\xd8\xff" in head:
        return "picture" if ends and head.startswith(b"\xff\xd8\xff") else "pictures"
    if text.startswith(b"#extm3u"):
        return "playlist"
    if head[4:8] in (b"ftyp", b"moov", b"styp") or head.startswith(_VIDEO) or head[:1] == head[188:189] == b"G":
        return "video"
    if content_type.startswith("text/") or text.startswith((b"<", b"{")):
        return "page"
    return "picture" if content_type.startswith("image/") else "video"


def _beginning(response: Response, deadline: Deadline) -> bytes:
    """Read the first bytes of the body: those available at once, and more only if they are too few to recognise it."""
    head = b""
    while len(head) < HEAD_BYTES:
        enough = len(head) >= ENOUGH_BYTES
        try:
            piece = response.read(Deadline.after(min(SLICE_S, deadline.remaining())) if enough else deadline)
        except TimeoutError:
            if enough:
                break
            raise
        if not piece:
            break
        head += piece
    return head


class JpegFeed:
    """A stream of pictures, whatever is between them. An address that returns a single one is polled."""

    def __init__(self, client: HttpClient, response: Response, head: bytes, options: CameraOptions, hear: Hear) -> None:
        self._client, self._response, self._options, self._hear = client, response, options, hear
        self._scanner, self._standstill, self._clock = scanner_for(head), Standstill(), ArrivalClock()
        self._early = head
        self._heard_at = time.monotonic()
        self._dry_since: float | None = None
        self._whole = self._undecodable = 0
        self._first: bytes | None = None
        self._snapshots: SnapshotFeed | None = None
        self.notes = tuple(client.doubts)
        self.fps: float | None = None
        self.live = True

    def take(self) -> Taken | None:
        if self._snapshots is not None:
            return self._snapshots.take()
        if self._dry_since is None:
            self._dry_since = time.monotonic()
        try:
            piece, self._early = self._early or self._response.read(Deadline.after(SLICE_S)), b""
        except TimeoutError:
            if time.monotonic() - self._heard_at > SILENT_S:
                raise _over(self._response) from None
            return None
        now = time.monotonic()
        if not piece:
            return self._ended()
        self._heard_at = now
        self._hear()
        found = self._scanner.feed(piece, self._standstill.sent_at(now, now - self._dry_since))
        # A short read means that nothing more is buffered, so the next bytes arrive later than now.
        self._dry_since = now if len(piece) < PIECE else None
        if not found:
            self._give_up()
            return None
        self._whole += len(found)
        newest = found[-1]
        self._first = self._first or found[0].data
        self._standstill.picture(now)
        at = newest.began_at
        if newest.stamp is not None:
            at = min(at, self._clock.captured_at(newest.stamp, now))
        return self._decoded(newest.data, at)

    def release(self) -> None:
        if self._snapshots is not None:
            self._snapshots.release()
        self._response.close()
        self._client.close()

    def _decoded(self, data: bytes, at: float) -> Taken | None:
        try:
            pixels = decoded(data)
        except PictureError:
            self._undecodable += 1
            self._give_up()
            return None
        self._undecodable = self._scanner.damaged = 0
        turned = upright(pixels, self._options.rotate, self._options.flip)
        return Taken(np.ascontiguousarray(turned), at, zlib.crc32(data))

    def _give_up(self) -> None:
        """Raise CameraUnsupported if only damaged pictures arrive."""
        if self._undecodable + self._scanner.damaged >= DAMAGED:
            raise _damaged(self._response)

    def _ended(self) -> Taken | None:
        # A single picture's file may contain further ones: a preview, or the other half of a stereo picture.
        single = self._whole == 1 or (self._whole <= SAME_FILE and self._response.type.startswith("image/"))
        if self._first is None or not single:
            raise _over(self._response)
        self._client.keep(self._response)
        self._snapshots = SnapshotFeed(self._client, self._response, self._first, self._options, self._hear, shown=True)
        return None


class _Body:
    """A response as a file for FFmpeg, which reads it sequentially."""

    def __init__(self, response: Response, head: bytes, deadline: Deadline, hear: Hear) -> None:
        self._response, self._early, self._hear = response, head, hear
        self.deadline: Deadline | None = deadline

    def read(self, size: int = -1) -> bytes:
        if not self._early:
            try:
                self._early = self._response.read(self.deadline or Deadline.after(SILENT_S))
            except TimeoutError:
                raise _over(self._response) from None
            self._hear()
        most = len(self._early) if size < 0 else size
        piece, self._early = self._early[:most], self._early[most:]
        return piece


def _video_feed(response: Response, head: bytes, options: CameraOptions, deadline: Deadline, hear: Hear) -> Feed:
    body = _Body(response, head, deadline, hear)
    source: _Body | BytesIO = body
    if response.length is not None and response.length <= MAX_WHOLE_BYTES:
        source = BytesIO(head + response.read_all(MAX_WHOLE_BYTES, deadline))
    try:
        container = av.open(source, "r", options={"analyzeduration": "1000000"})
        video = Video(container, live=container.duration is None)
    except (av.error.FFmpegError, ValueError, NoVideo):
        raise CameraUnsupported(
            f"{response.shown} answers, but sends no video that can be decoded.",
            "Choose H.264 or MJPEG in the camera's settings.",
        ) from None
    body.deadline = None
    return VideoFeed(video, response.shown, options, hear, done=response.close)


def _playlist(address: str, options: CameraOptions, deadline: Deadline, hear: Hear) -> Feed:
    """Open an HLS playlist, whose segments FFmpeg fetches itself."""
    shown = redact(address)
    try:
        container = av.open(address, timeout=(max(0.5, deadline.remaining()), SILENT_S))
        return VideoFeed(Video(container, live=container.duration is None), shown, options, hear)
    except (av.error.FFmpegError, ValueError, NoVideo, VideoBroken):
        raise CameraUnsupported(
            f"The playlist {shown} leads to no video that can be decoded.",
            "Use the camera's RTSP or MJPEG address.",
        ) from None


def _damaged(response: Response) -> CameraError:
    return CameraUnsupported(
        f"The pictures of {response.shown} are damaged: each ends too early or cannot be decoded.",
        "Choose a smaller size or a lower quality in the camera's settings, and restart it.",
    )


def _over(response: Response) -> CameraError:
    # Not CameraSilent, since nothing more will come over this connection and waiting is useless.
    return CameraError(f"The stream {response.shown} ended or fell silent.", "It is opened again.")

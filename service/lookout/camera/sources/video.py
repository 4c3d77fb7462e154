"""Encoded video through FFmpeg's libraries (PyAV): packets in, upright pictures out.

OpenCV's own reader is not used for it. Where the conversion to BGR is refused, as it is for interlaced video since
FFmpeg 8, OpenCV says that it delivered a picture and hands over whatever lay in that memory. Here each step reports its
failure, and a picture that was not decoded whole does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import av.error
import av.logging
import numpy as np
from av.codec.context import Flags
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from lookout.camera.convert import upright

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

Pixels = NDArray[np.uint8]

# FFmpeg prints addresses with their passwords; what it has to say comes as exceptions.
av.logging.set_level(None)

# Decoders that show nothing before they have a whole picture, also in streams that never send a key frame but refresh
# a part at a time. The others begin with grey where a reference is missing.
_WAIT_FOR_THEMSELVES = frozenset({"h264", "hevc", "vvc"})
# One slice a picture is usual, so that slices keep one core busy. Up to this many pixels one core is enough; beyond,
# decoding several pictures at a time costs a picture's delay each.
_ONE_CORE_PIXELS = 1280 * 720
_LIVE_THREADS = 2
_SHAPES = (0.2, 5.0)  # a pixel's width to its height; anything else is a damaged header


class NoVideo(Exception):
    """The container has no video, or none whose codec is known here."""


class VideoBroken(Exception):
    """Nothing more can be read: the connection broke off, or the file is damaged beyond."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One decoded picture, not yet converted. at: seconds in the video, None where it has no times."""

    frame: VideoFrame
    at: float | None


class Video:
    """The pictures of one opened container. Used by one thread, but `close` may come from any once it is unused."""

    def __init__(self, container: InputContainer, *, live: bool) -> None:
        """live: delay no picture. Raises NoVideo."""
        self._container = container
        self._stream = _video_of(container)
        self._live = live
        context = self._stream.codec_context
        if live:
            context.flags |= int(Flags.low_delay)
            large = context.width * context.height > _ONE_CORE_PIXELS
            context.thread_type = "AUTO" if large else "SLICE"
            context.thread_count = _LIVE_THREADS
        else:
            context.thread_type = "AUTO"
        self._packets: Iterator[Packet[VideoStream]] = container.demux(self._stream)
        self._to_bgr = VideoReformatter()
        self._begun = context.name in _WAIT_FOR_THEMSELVES
        self.packets = 0
        self.damaged = 0

    @property
    def fps(self) -> float | None:
        """Nominal frames a second, if they are known and credible."""
        for rate in (self._stream.guessed_rate, self._stream.average_rate, self._stream.codec_context.framerate):
            if rate and 0 < float(rate) <= 240:
                return float(rate)
        return None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height that its header says, 0 where it does not; before the shape of pixels and rotation."""
        return self._stream.codec_context.width, self._stream.codec_context.height

    @property
    def duration(self) -> float | None:
        """Seconds of a recording; None for what goes on for ever."""
        length = self._container.duration
        return length / 1e6 if length and length > 0 else None

    @property
    def every_picture_stands_alone(self) -> bool:
        """Whether no picture is encoded as a difference from another."""
        return bool(self._stream.codec_context.codec.intra_only)

    def step(self) -> list[Decoded]:
        """Read one packet and decode it: none, one or several pictures. EOFError at the end; raises VideoBroken."""
        try:
            packet = next(self._packets)
        except (StopIteration, EOFError):
            raise EOFError from None
        except (av.error.FFmpegError, OSError) as error:
            raise VideoBroken(_words_of(error)) from error
        self.packets += 1
        try:
            frames = packet.decode()
        except EOFError:
            return []
        except (av.error.FFmpegError, ValueError):
            self.damaged += 1
            return []
        return [Decoded(frame, _time_of(frame)) for frame in frames if self._is_whole(frame)]

    def pixels(self, decoded: Decoded, rotate: int, flip: str) -> Pixels | None:
        """The picture as a frame is to be, in its true shape; None where it cannot be converted."""
        frame = decoded.frame
        try:
            width = self._true_width(frame)
            picture: NDArray[Any] = self._to_bgr.reformat(frame, width, frame.height, "bgr24").to_ndarray()
        except (av.error.FFmpegError, ValueError, MemoryError):
            self.damaged += 1
            return None
        turns = round(frame.rotation / 90) % 4  # as the film's header asks, anticlockwise
        turned = np.rot90(picture, turns) if turns else picture
        return np.ascontiguousarray(upright(np.ascontiguousarray(turned, np.uint8), rotate, flip))

    def close(self) -> None:
        """Let go of the container; nothing else may run meanwhile."""
        self._container.close()

    def _is_whole(self, frame: VideoFrame) -> bool:
        if frame.is_corrupt:
            self.damaged += 1
            return False
        self._begun = self._begun or bool(frame.key_frame)
        return self._begun

    def _true_width(self, frame: VideoFrame) -> int:
        shape = self._stream.sample_aspect_ratio or self._stream.codec_context.sample_aspect_ratio
        if not shape or shape == 1 or not _SHAPES[0] <= float(shape) <= _SHAPES[1]:
            return int(frame.width)
        return max(1, round(frame.width * float(shape)))


def _video_of(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            return stream  # an attached picture is the cover of a piece of music
    raise NoVideo


def _time_of(frame: VideoFrame) -> float | None:
    if frame.pts is None or not frame.time_base:
        return None
    at = float(frame.pts * frame.time_base)
    return at if math.isfinite(at) else None


def _words_of(error: BaseException) -> str:
    """What FFmpeg calls it, without the address that its exceptions carry."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def open_film(path: Path) -> Video:
    """A video file, whatever it is called. Raises OSError where it cannot be read, NoVideo, VideoBroken."""
    with path.open("rb") as file:
        # FFmpeg takes what stands before a colon for a protocol: "2026-05-01T12:30.mp4".
        name = f"file:{path.absolute()}"
        try:
            name.encode()
        except UnicodeEncodeError:  # not in UTF-8
            name = f"file:/proc/self/fd/{file.fileno()}"
        try:
            return Video(av.open(name), live=False)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoBroken(_words_of(error)) from error

"""Encoded video through FFmpeg's libraries (PyAV): packets in, upright pictures out.

OpenCV's own reader is not used. Where FFmpeg refuses the conversion to BGR, as it does for interlaced video since
version 8, OpenCV reports a picture and returns whatever was in that memory. Here each step reports its failure, and a
picture that was not completely decoded does not exist.
"""

from __future__ import annotations

import math
import re
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
from lookout.frame import Pixels

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream


# FFmpeg prints addresses with their passwords; what it has to say arrives as exceptions.
av.logging.set_level(None)

# Decoders that show nothing before they have a complete picture, even for streams that never send a key frame but
# refresh a part at a time. The others start with grey where a reference is missing.
_WAIT_FOR_THEMSELVES = frozenset({"h264", "hevc", "vvc"})
# Containers that say truly which packet is a key frame. In MPEG's, a guess from the packet's beginning says so.
_INDEXED = frozenset({"mov", "avi", "matroska", "asf", "nut"})
# Never slice threads: with them the H.264 decoder leaves the area of a lost slice as the memory was, without reporting
# it. Up to this many pixels one core is enough; above, decoding several pictures at a time costs a picture's delay.
_ONE_CORE_PIXELS = 1280 * 720
_LIVE_THREADS = 2
_SLICE = re.compile(rb"\x00\x00\x01[\x01\x21\x41\x61\x05\x25\x45\x65](.)", re.DOTALL)
_MAX_PACKET = 2**23  # bytes of a key frame that are kept until the next packet
_SHAPES = (0.2, 5.0)  # a pixel's width to its height; anything else is a damaged header


class NoVideo(Exception):
    """The container has no video, or none with a known codec."""


class VideoBroken(Exception):
    """Nothing more can be read: the connection broke, or the rest of the file is damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """One decoded picture, not yet converted. at: seconds in the video, None if it has no times."""

    frame: VideoFrame
    at: float | None


class Video:
    """The pictures of one opened container. Used by one thread, but any may call `close` once it is unused."""

    def __init__(self, container: InputContainer, *, live: bool) -> None:
        """live: delay no picture. Raises NoVideo."""
        self._container = container
        self._stream = _video_of(container)
        self._live = live
        context = self._stream.codec_context
        if live:
            context.flags |= int(Flags.low_delay)
            large = context.width * context.height > _ONE_CORE_PIXELS
            context.thread_count = _LIVE_THREADS if large else 1
        context.thread_type = "FRAME"
        self._packets: Iterator[Packet[VideoStream]] = container.demux(self._stream)
        self._to_bgr = VideoReformatter()
        self._begun = context.name in _WAIT_FOR_THEMSELVES
        self._indexed = not live and not _INDEXED.isdisjoint(container.format.name.split(","))
        self._cut: bytes | None = None  # a key frame with a part missing
        self.packets = 0
        self.damaged = 0

    @property
    def fps(self) -> float | None:
        """Nominal frames per second, if they are known and plausible."""
        for rate in (self._stream.guessed_rate, self._stream.average_rate, self._stream.codec_context.framerate):
            if rate and 0 < float(rate) <= 240:
                return float(rate)
        return None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height according to its header, 0 if unknown; before pixel aspect and rotation are applied."""
        return self._stream.codec_context.width, self._stream.codec_context.height

    @property
    def duration(self) -> float | None:
        """Seconds of a recording; None for an endless stream."""
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
        if self._cut is not None and _goes_on(packet):
            packet = self._joined(self._cut, packet)
        self._cut = None
        try:
            frames = packet.decode()
        except EOFError:
            return []
        except (av.error.FFmpegError, ValueError):
            self.damaged += 1
            return []
        if self._stream.codec_context.name == "h264" and any(frame.is_corrupt for frame in frames):
            self._cut = bytes(packet) if packet.is_keyframe and packet.size < _MAX_PACKET else None
        # Decoders of screen recordings and other old codecs mark no picture as a key frame; a recording's index does.
        marked = self._indexed and packet.is_keyframe
        return [Decoded(frame, _time_of(frame)) for frame in frames if self._is_whole(frame, marked)]

    def pixels(self, decoded: Decoded, rotate: int, flip: str) -> Pixels | None:
        """The picture as a frame should be, in its true shape; None if it cannot be converted."""
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
        """Release the container; nothing else may run meanwhile."""
        self._container.close()

    def _is_whole(self, frame: VideoFrame, marked: bool) -> bool:
        """marked: the container calls it a key frame."""
        if frame.is_corrupt:
            self.damaged += 1
            self._begun = self._begun and not frame.key_frame  # pictures that refer to it would show its holes
            return False
        self._begun = self._begun or marked or bool(frame.key_frame)
        return self._begun

    def _joined(self, first: bytes, rest: Packet[VideoStream]) -> Packet[VideoStream]:
        """Some senders repeat the parameters before each slice of a key frame, where the parser then splits it."""
        packet = av.Packet(first + bytes(rest))
        packet.pts, packet.dts, packet.time_base = rest.pts, rest.dts, rest.time_base
        packet.stream = self._stream
        packet.is_keyframe = True
        return packet  # type: ignore[return-value]

    def _true_width(self, frame: VideoFrame) -> int:
        shape = self._stream.sample_aspect_ratio or self._stream.codec_context.sample_aspect_ratio
        if not shape or shape == 1 or not _SHAPES[0] <= float(shape) <= _SHAPES[1]:
            return int(frame.width)
        return max(1, round(frame.width * float(shape)))


def _goes_on(packet: Packet[VideoStream]) -> bool:
    """Whether its first slice is not the first of its picture (H.264)."""
    found = _SLICE.search(bytes(packet))
    return found is not None and found[1][0] < 0x80  # first_mb_in_slice: a leading bit of 1 stands for 0


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
    """FFmpeg's description, without the address that its exceptions contain."""
    return str(getattr(error, "strerror", None) or type(error).__name__)


def open_film(path: Path) -> Video:
    """A video file, whatever its name. Raises OSError if it cannot be read, NoVideo, VideoBroken."""
    with path.open("rb") as file:
        # FFmpeg takes what is before a colon for a protocol: "2026-05-01T12:30.mp4".
        name = f"file:{path.absolute()}"
        try:
            name.encode()
        except UnicodeEncodeError:  # not in UTF-8
            name = f"file:/proc/self/fd/{file.fileno()}"
        try:
            return Video(av.open(name), live=False)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoBroken(_words_of(error)) from error

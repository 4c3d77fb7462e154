"""Encoded video through FFmpeg's libraries (PyAV): packets in, upright pictures out.

OpenCV's reader is not used: if FFmpeg refuses the conversion to BGR, as it does for interlaced video since version 8,
OpenCV still reports a picture and returns uninitialised memory. Here each step reports its failure, and a picture that
was not completely decoded is not delivered.
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


# FFmpeg's log contains addresses with passwords; its errors arrive as exceptions anyway.
av.logging.set_level(None)

# Decoders that deliver nothing before they have a complete picture, even for streams that refresh a part at a time and
# never send a key frame. Others start with grey where a reference is missing.
_WAIT_FOR_THEMSELVES = frozenset({"h264", "hevc", "vvc"})
# Containers that reliably mark key frames. In MPEG's, the mark is a guess from the start of the packet.
_INDEXED = frozenset({"mov", "avi", "matroska", "asf", "nut"})
# Slice threads are never used: with them, the H.264 decoder leaves the area of a lost slice uninitialised, without an
# error. Up to this many pixels, one core is enough; frame threads for larger pictures cost a delay of one picture.
_ONE_CORE_PIXELS = 1280 * 720
_LIVE_THREADS = 2
_SLICE = re.compile(rb"\x00\x00\x01[\x01\x21\x41\x61\x05\x25\x45\x65](.)", re.DOTALL)
_MAX_PACKET = 2**23  # maximum bytes of a key frame kept until the next packet
_SHAPES = (0.2, 5.0)  # plausible range of a pixel's width / height; other values come from a damaged header


class NoVideo(Exception):
    """The container has no video, or none with a known codec."""


class VideoBroken(Exception):
    """Nothing more can be read, because the connection broke or the rest of the file is damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """A decoded picture, not yet converted. at: seconds in the video; None if it has no timestamps."""

    frame: VideoFrame
    at: float | None


class Video:
    """The pictures of one opened container. Used by one thread, but any may call `close` once it is unused."""

    def __init__(self, container: InputContainer, *, live: bool) -> None:
        """live: decode without delay. Raises NoVideo."""
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
        self.position = 0  # of the latest packet in the file, in bytes
        self.packets = 0
        self.damaged = 0

    @property
    def fps(self) -> float | None:
        """The nominal frames per second; None if they are unknown or implausible."""
        for rate in (self._stream.guessed_rate, self._stream.average_rate, self._stream.codec_context.framerate):
            if rate and 0 < float(rate) <= 240:
                return float(rate)
        return None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height by the header, 0 if unknown, before applying pixel aspect and rotation."""
        return self._stream.codec_context.width, self._stream.codec_context.height

    @property
    def duration(self) -> float | None:
        """The duration of a recording in seconds; None for an endless stream."""
        length = self._container.duration
        return length / 1e6 if length and length > 0 else None

    @property
    def every_picture_stands_alone(self) -> bool:
        """Whether the codec encodes every picture independently of others."""
        return bool(self._stream.codec_context.codec.intra_only)

    def step(self) -> list[Decoded]:
        """Read a packet and decode it to none, one or several pictures. Raises EOFError at the end, or VideoBroken."""
        try:
            packet = next(self._packets)
        except (StopIteration, EOFError):
            raise EOFError from None
        except (av.error.FFmpegError, OSError) as error:
            raise VideoBroken(_words_of(error)) from error
        self.packets += 1
        self.position = max(0, packet.pos or 0)
        if self._cut is not None and _continues(packet):
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
        # Decoders of some old codecs, as for screen recordings, mark no key frames; a recording's index does.
        marked = self._indexed and packet.is_keyframe
        return [Decoded(frame, _time_of(frame)) for frame in frames if self._is_whole(frame, marked)]

    def pixels(self, decoded: Decoded, rotate: int, flip: str) -> Pixels | None:
        """Convert the picture to upright BGR with square pixels; None if it cannot be converted."""
        frame = decoded.frame
        try:
            width = self._true_width(frame)
            picture: NDArray[Any] = self._to_bgr.reformat(frame, width, frame.height, "bgr24").to_ndarray()
        except (av.error.FFmpegError, ValueError, MemoryError):
            self.damaged += 1
            return None
        turns = round(frame.rotation / 90) % 4  # anticlockwise, from the film's header
        turned = np.rot90(picture, turns) if turns else picture
        return np.ascontiguousarray(upright(np.ascontiguousarray(turned, np.uint8), rotate, flip))

    def close(self) -> None:
        """Release the container. No other call may be in progress."""
        self._container.close()

    def _is_whole(self, frame: VideoFrame, marked: bool) -> bool:
        """Whether a picture is complete. marked: whether the container marks it as a key frame."""
        if frame.is_corrupt:
            self.damaged += 1
            self._begun = self._begun and not frame.key_frame  # pictures that refer to it would be incomplete too
            return False
        self._begun = self._begun or marked or bool(frame.key_frame)
        return self._begun

    def _joined(self, first: bytes, rest: Packet[VideoStream]) -> Packet[VideoStream]:
        """Join the parts of a key frame that was split because the sender repeats the parameters before each slice."""
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


def _continues(packet: Packet[VideoStream]) -> bool:
    """Whether the packet starts with a slice that is not the first of its picture (H.264)."""
    found = _SLICE.search(bytes(packet))
    return found is not None and found[1][0] < 0x80  # first_mb_in_slice: a leading bit of 1 stands for 0


def _video_of(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            return stream  # an attached picture is the cover of an audio file
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
    """Open a video file, whatever its name. Raises OSError if it cannot be read, NoVideo or VideoBroken."""
    with path.open("rb") as file:
        # FFmpeg takes the part before a colon for a protocol, as in "2026-05-01T12:30.mp4".
        name = f"file:{path.absolute()}"
        try:
            name.encode()
        except UnicodeEncodeError:  # not in UTF-8
            name = f"file:/proc/self/fd/{file.fileno()}"
        try:
            return Video(av.open(name), live=False)
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoBroken(_words_of(error)) from error

"""Pictures out of whatever cameras call MJPEG over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from lookout.camera.sources.jpeg_stream import JpegScanner

from tests.camera import servers
from tests.camera.cards import card

ONE, TWO = servers.jpeg(card("red")), servers.jpeg(card("green"))


def scanned(data: bytes, step: int) -> list[bytes]:
    scanner = JpegScanner()
    found = []
    for begin in range(0, len(data), step):
        found += scanner.feed(data[begin : begin + step], float(begin))
    return [one.data for one in found]


def length(data: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(data)


VARIANTS: dict[str, Callable[[bytes], bytes]] = {
    "as the book has it": lambda data: b"--frame\r\nContent-Type: image/jpeg\r\n" + length(data) + data + b"\r\n",
    "image/jpg": lambda data: b"--frame\r\nContent-Type: image/jpg\r\n" + length(data) + data + b"\r\n",
    "boundary behind (Tasmota#12376, esp32-camera#120)": lambda data: (
        b"Content-Type: image/jpeg\r\n" + length(data) + data + b"\r\n--frame\r\n"
    ),
    "no line break (viseron#355)": lambda data: b"--jpgboundaryContent-type: image/jpeg\r\n" + length(data) + data,
    "no length (zoneminder#692)": lambda data: b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + data + b"\r\n",
    "wrong length": lambda data: b"--frame\r\n" + length(data + b"123456") + data,
    "bare": lambda data: data,
    "only line feeds": lambda data: b"--frame\nContent-Type: image/jpeg\n\n" + data + b"\n",
    "stray bytes": lambda data: b"\x00\xff\xff\x00junk" + data + b"\0\0\0\0\xff\xd9",
}


@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
@pytest.mark.parametrize("name", VARIANTS)
def test_each_picture_is_found_whatever_stands_around_it(name: str, step: int) -> None:
    wrapped = VARIANTS[name]
    assert scanned(wrapped(ONE) + wrapped(TWO) + wrapped(ONE), step) == [ONE, TWO, ONE]


def test_a_preview_inside_and_bytes_between_segments_end_no_picture() -> None:
    preview = b"\xff\xe1" + (len(TWO) + 8).to_bytes(2) + b"Exif\0\0" + TWO
    assert scanned(ONE[:2] + preview + b"\0\x17stray" + ONE[2:], 11) == [ONE[:2] + preview + b"\0\x17stray" + ONE[2:]]


def test_a_picture_cut_off_by_the_next_is_counted_and_not_handed_out() -> None:
    scanner = JpegScanner()
    found = scanner.feed(ONE[:-200] + b"\r\n--frame\r\n\r\n" + TWO, 1.0)
    assert [one.data for one in found] == [TWO]
    assert scanner.damaged == 1


def test_what_never_ends_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookout.camera.sources.jpeg_stream.MAX_PICTURE_BYTES", 100_000)
    scanner = JpegScanner()
    scanner.feed(ONE[: ONE.index(b"\xff\xda") + 40], 0.0)
    for _ in range(10):
        scanner.feed(b"\x11" * 20_000, 0.0)
    assert scanner.damaged == 1
    noise = np.random.default_rng(3)
    scanner = JpegScanner()
    for _ in range(50):
        scanner.feed(noise.integers(0, 256, 20_000, np.uint8).tobytes(), 0.0)
    assert scanner.feed(b"\r\n" + TWO + b"\r\n" + TWO, 0.0)[-1].data == TWO


def test_a_picture_is_as_old_as_its_first_byte_and_brings_the_senders_time() -> None:
    scanner = JpegScanner()
    head = b"--frame\r\nContent-Type: image/jpeg\r\nX-Timestamp: 1712.250000\r\n\r\n"
    assert scanner.feed(head + ONE[:500], 5.0) == []
    [found] = scanner.feed(ONE[500:] + b"\r\n--frame\r\nContent-", 15.0)
    assert (found.began_at, found.stamp) == (5.0, 1712.25)
    [found] = scanner.feed(b"Type: image/jpeg\r\n\r\n" + TWO, 16.0)
    assert (found.began_at, found.stamp) == (16.0, None)

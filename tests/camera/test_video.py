"""Encoded video: a picture that was not decoded does not exist, and one that was has its true shape."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from lookout.camera import create
from lookout.camera.interface import CameraOptions
from lookout.camera.sources.video import Decoded, NoVideo, Video, VideoBroken, open_film
from lookout.deadline import Deadline
from lookout.errors import CameraUnsupported

from tests.camera.cards import colour_of
from tests.requires import requires

pytestmark = requires("ffmpeg")


def made(path: Path, *arguments: str, source: str = "testsrc=size=160x120:rate=10:duration=1") -> Path:
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, *arguments, str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


def pictures_of(path: Path) -> list[np.ndarray]:
    video = open_film(path)
    found = []
    try:
        while True:
            found += [video.pixels(decoded, 0, "none") for decoded in video.step()]
    except EOFError:
        video.close()
    assert all(picture is not None for picture in found)
    return found  # type: ignore[return-value]


@pytest.mark.parametrize(
    "encoding",
    [
        ("-c:v", "libx264", "-flags", "+ildct+ilme", "-vf", "setfield=tff", "-pix_fmt", "yuv420p"),
        ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-vf", "setfield=bff"),
        ("-c:v", "libx264", "-flags", "+ildct+ilme", "-vf", "setfield=tff", "-pix_fmt", "yuv422p"),
        ("-c:v", "libx264", "-pix_fmt", "yuv420p10le"),
        ("-c:v", "ffv1", "-pix_fmt", "gray16le"),
        ("-c:v", "mjpeg", "-pix_fmt", "yuvj444p"),
    ],
    ids=["interlaced", "interlaced mpeg-2", "interlaced 4:2:2", "10 bits", "grey", "mjpeg"],
)
def test_every_picture_is_the_films_own(tmp_path: Path, encoding: tuple[str, ...]) -> None:
    """vllm-project/vllm#47853: interlaced films were black, or memory as it lay, and OpenCV said yes."""
    source = "color=c=red:size=160x120:rate=10:duration=0.5"
    pictures = pictures_of(made(tmp_path / "film.mkv", *encoding, source=source))
    assert len(pictures) == 5
    for picture in pictures:
        assert picture.shape == (120, 160, 3)
        assert picture.std(axis=(0, 1)).max() < 4
        assert picture.mean() > 50
        if "gray16le" not in encoding:
            assert colour_of(picture) == "red"


@pytest.mark.parametrize("codec", ["qtrle", "rpza", "svq1", "msvideo1", "flashsv", "cinepak"])
def test_films_whose_decoder_marks_no_key_frame_are_read(tmp_path: Path, codec: str) -> None:
    # ffmpeg 5.1 aborts on some machines where it encodes smaller ones as rpza: it writes behind its own buffer.
    source = "color=c=red:size=320x240:rate=10:duration=0.5"
    pictures = pictures_of(made(tmp_path / "film.mov", "-c:v", codec, "-strict", "-2", source=source))
    assert len(pictures) == 5
    assert {colour_of(picture) for picture in pictures} == {"red"}


def test_an_interlaced_film_runs_in_the_service_like_any_other(tmp_path: Path) -> None:
    source = "color=c=lime:size=160x120:rate=10:duration=2"
    path = made(
        tmp_path / "i.mp4", "-flags", "+ildct+ilme", "-vf", "setfield=tff", "-pix_fmt", "yuv420p", source=source
    )
    camera = create(f"file:{path}", CameraOptions(), isolated=True)
    camera.open(Deadline.after(20))
    frames = [camera.read(Deadline.after(5)) for _ in range(3)]
    camera.close()
    assert {colour_of(frame.pixels) for frame in frames} == {"green"}


def test_a_conversion_that_is_refused_makes_no_picture(tmp_path: Path) -> None:
    video = open_film(made(tmp_path / "film.mkv"))
    pictures: list[Decoded] = []
    while not pictures:
        pictures = video.step()

    class Refuses:
        def reformat(self, *_: object) -> None:
            raise ValueError("Cannot convert interlaced to progressive frames or vice versa")

    video._to_bgr = Refuses()  # type: ignore[assignment]
    assert video.pixels(pictures[0], 0, "none") is None
    video.close()


def test_grey_before_the_first_key_frame_is_not_a_picture(tmp_path: Path) -> None:
    """Some decoders invent what a picture refers to and was never sent."""
    whole = made(tmp_path / "whole.ts", "-c:v", "mpeg4", "-g", "5", "-f", "mpegts").read_bytes()
    assert len(pictures_of(tmp_path / "whole.ts")) == 10
    half = tmp_path / "half.ts"
    half.write_bytes(whole[188 * (len(whole) // 188 // 8) :])
    found = pictures_of(half)
    truth = pictures_of(tmp_path / "whole.ts")
    assert 0 < len(found) < 10
    for picture in found:
        assert min(float(np.abs(picture.astype(int) - one).mean()) for one in truth) < 2


def test_pixels_that_are_not_square_and_a_size_that_changes_keep_their_shape(tmp_path: Path) -> None:
    wide = pictures_of(made(tmp_path / "wide.mkv", "-vf", "setsar=2/1"))
    assert wide[0].shape == (120, 320, 3)
    parts = [
        made(tmp_path / f"{size}.ts", "-c:v", "libx264", "-g", "5", source=f"testsrc=size={size}:rate=10:duration=0.5")
        for size in ("160x120", "320x180")
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    shapes = [picture.shape for picture in pictures_of(joined)]
    assert set(shapes) == {(120, 160, 3), (180, 320, 3)}
    camera = create(f"file:{joined}", CameraOptions(), isolated=True)
    camera.open(Deadline.after(20))
    seen = {camera.read(Deadline.after(5)).pixels.shape for _ in range(8)}
    camera.close()
    assert seen == set(shapes), "without being opened again at the new size"


def test_what_holds_no_video_is_refused(tmp_path: Path) -> None:
    sound = tmp_path / "sound.wav"
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "sine=duration=0.2", str(sound)], check=True)
    with pytest.raises(NoVideo):
        open_film(sound)
    (tmp_path / "noise.mp4").write_bytes(b"\x17" * 5000)
    with pytest.raises(VideoBroken):
        open_film(tmp_path / "noise.mp4")
    for name in ("sound.wav", "noise.mp4"):
        with pytest.raises(CameraUnsupported, match="not a video that can be read"):
            create(f"file:{tmp_path / name}", CameraOptions(), isolated=False).open(Deadline.after(5))


def test_damaged_frames_are_passed_over(tmp_path: Path) -> None:
    each_alone = ("-c:v", "libx264", "-g", "1")
    path = made(tmp_path / "film.mkv", *each_alone)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    truth = pictures_of(made(tmp_path / "whole.mkv", *each_alone))
    found = pictures_of(path)
    assert 5 <= len(found) < 10
    for picture in found:
        assert min(float(np.abs(picture.astype(int) - one).mean()) for one in truth) < 2


def test_closing_is_safe_twice(tmp_path: Path) -> None:
    video: Video = open_film(made(tmp_path / "film.mkv"))
    video.close()
    video.close()


def test_a_slice_that_is_missing_makes_no_picture(tmp_path: Path) -> None:
    """With threads for slices its place was left as the memory was, and nothing said so."""
    slices = (
        "-c:v",
        "libx264",
        "-g",
        "5",
        "-slices",
        "4",
        "-threads",
        "1",
        "-tune",
        "zerolatency",
        "-bsf:v",
        "h264_mp4toannexb",
    )
    path = made(tmp_path / "film.h264", *slices, "-f", "h264", source="color=c=red:size=160x120:rate=10:duration=1")
    parts = path.read_bytes().split(b"\x00\x00\x01")
    key = [number for number, part in enumerate(parts) if part[:1] in (b"\x65", b"\x25")]
    del parts[key[2]]  # of the first key frame
    path.write_bytes(b"\x00\x00\x01".join(parts))
    for live in (True, False):
        video = Video(av.open(str(path)), live=live)
        found = []
        with contextlib.suppress(EOFError):
            while True:
                found += [video.pixels(decoded, 0, "none") for decoded in video.step()]
        video.close()
        assert 0 < len(found) <= 5, "from the second key frame on"
        assert {colour_of(picture) for picture in found if picture is not None} == {"red"}
        assert max(float(picture.std(axis=(0, 1)).max()) for picture in found if picture is not None) < 4

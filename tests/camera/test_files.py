"""Videos, pictures and folders."""

from __future__ import annotations

import itertools
import os
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from lookout.camera import create
from lookout.camera.interface import Camera, CameraOptions, EndOfSource
from lookout.camera.sources import folder
from lookout.camera.sources.folder import SLIDE_S, FolderCamera, natural
from lookout.camera.sources.video import Decoded, Video
from lookout.deadline import Deadline
from lookout.errors import CameraAbsent, CameraDenied, CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Frame
from PIL import Image

from tests.camera.cards import COLOURS, card, colour_of, corner, white_corner
from tests.faults.bombs import endless
from tests.requires import requires

PACED = CameraOptions()
UNPACED = CameraOptions(pace=False)


def film(path: Path, pictures: list[np.ndarray], fps: float = 20) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), fps, (160, 120))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half a second: five frames of each card, at 30 frames a second."""
    return film(tmp_path_factory.mktemp("clip") / "clip.mp4", [card(name) for name in COLOURS for _ in range(5)], 30)


def opened(address: str, options: CameraOptions, seconds: float = 15) -> Camera:
    camera = create(address, options, isolated=False)
    camera.open(Deadline.after(seconds))
    return camera


def all_frames(camera: Camera, limit: int = 200) -> list[Frame]:
    frames = []
    try:
        while len(frames) < limit:
            frames.append(camera.read(Deadline.after(5)))
    except EndOfSource:
        pass
    camera.close()
    return frames


def test_unpaced_every_frame_comes_at_once_in_the_videos_own_time(clip: Path) -> None:
    camera = opened(f"file:{clip}", UNPACED)
    begun = time.monotonic()
    frames = all_frames(camera)
    assert frames[-1].captured_at > time.monotonic() or time.monotonic() - begun > 0.4  # faster than it was filmed
    assert [colour_of(frame.pixels) for frame in frames] == [name for name in COLOURS for _ in range(5)]
    assert [frame.sequence for frame in frames] == list(range(15))
    times = np.diff([frame.captured_at for frame in frames])
    assert times == pytest.approx(1 / 30, abs=0.002)
    assert not camera.info.live
    assert camera.info.fps is None
    assert camera.info.name == "clip.mp4"


def test_a_frame_that_cannot_be_converted_is_passed_over(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = Video.pixels, itertools.count()  # opening looks at the first picture, too

    def some(video: Video, decoded: Decoded, rotate: int, flip: str) -> np.ndarray | None:
        return None if next(calls) in (3, 4, 5) else real(video, decoded, rotate, flip)

    monkeypatch.setattr(Video, "pixels", some)
    assert [frame.sequence for frame in all_frames(opened(f"file:{clip}", UNPACED))] == [0, 1, *range(5, 15)]
    monkeypatch.setattr(Video, "pixels", lambda *_: None)
    with pytest.raises(CameraUnsupported, match="no picture that can be decoded"):
        opened(f"file:{clip}", CameraOptions(pace=False, loop=True))


def test_paced_a_video_keeps_its_own_speed(clip: Path) -> None:
    camera = opened(f"file:{clip}", PACED)
    begun = time.monotonic()
    frames = all_frames(camera)
    assert 14 / 30 - 0.05 < time.monotonic() - begun < 1.5
    assert len(frames) >= 5
    assert camera.info.fps == pytest.approx(30)
    assert all(frame.captured_at <= time.monotonic() for frame in frames)


def test_paced_a_slow_reader_skips_what_is_over(clip: Path) -> None:
    camera = opened(f"file:{clip}", PACED)
    first = camera.read(Deadline.after(1))
    time.sleep(0.25)
    second = camera.read(Deadline.after(1))
    camera.close()
    assert colour_of(first.pixels) == "red"
    assert colour_of(second.pixels) == "green"
    assert second.sequence >= 6


def test_a_frame_that_is_not_due_by_the_deadline_is_silent(tmp_path: Path) -> None:
    camera = opened(f"file:{film(tmp_path / 'slow.mp4', [card('red')] * 3, fps=1)}", PACED)
    camera.read(Deadline.after(1))
    begun = time.monotonic()
    with pytest.raises(CameraSilent):
        camera.read(Deadline.after(0.1))
    assert time.monotonic() - begun < 0.5
    threading.Timer(0.05, camera.close).start()
    with pytest.raises(CameraError, match="closed"):
        camera.read(Deadline.after(3))


@pytest.mark.parametrize("pace", [True, False])
def test_a_looping_video_goes_on(clip: Path, pace: bool) -> None:
    camera = opened(f"file:{clip}", CameraOptions(pace=pace, loop=True))
    frames = all_frames(camera, limit=25)
    assert colour_of(frames[0].pixels) == "red"
    times = [frame.captured_at for frame in frames]
    assert times == sorted(times)
    assert [frame.sequence for frame in frames] == sorted({frame.sequence for frame in frames})
    assert len(frames) == 25


@requires("ffmpeg")
def test_a_phones_video_is_turned_upright(tmp_path: Path) -> None:
    import subprocess

    film(tmp_path / "flat.mp4", [corner()] * 3)
    subprocess.run(
        ["ffmpeg", "-v", "error", "-display_rotation", "90", "-i", "flat.mp4", "-c", "copy", "phone.mp4"],
        cwd=tmp_path,
        check=False,
        timeout=30,
    )
    if not (tmp_path / "phone.mp4").exists():  # before FFmpeg 6 the rotation is a tag
        subprocess.run(
            ["ffmpeg", "-v", "error", "-i", "flat.mp4", "-c", "copy", "-metadata:s:v", "rotate=270", "phone.mp4"],
            cwd=tmp_path,
            check=True,
            timeout=30,
        )
    camera = opened(f"file:{tmp_path / 'phone.mp4'}", UNPACED)
    frame = camera.read(Deadline.after(2))
    camera.close()
    assert frame.pixels.shape == (160, 120, 3)
    assert (camera.info.width, camera.info.height) == (120, 160)


@pytest.mark.parametrize("rotate", [90, 180])
def test_videos_are_turned_like_every_source(tmp_path: Path, rotate: int) -> None:
    path = film(tmp_path / "corner.mp4", [corner()] * 3)
    camera = opened(f"file:{path}", CameraOptions(pace=False, rotate=rotate))
    frame = camera.read(Deadline.after(2))
    camera.close()
    assert white_corner(frame.pixels) == {90: "top right", 180: "bottom right"}[rotate]
    assert (camera.info.width, camera.info.height) == (frame.width, frame.height)


def test_a_name_with_a_colon_is_a_name_wherever_one_stands(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clip.parent / "2026-05-01T12:30.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(clip.parent)
    assert len(all_frames(opened("file:2026-05-01T12:30.mp4", UNPACED))) == 5 * len(COLOURS)


@pytest.mark.parametrize("content", [b"", b"this is a text", os.urandom(5000)])
def test_what_is_not_a_video_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(CameraUnsupported, match="not a video that can be read"):
        opened(f"file:{path}", PACED)


def test_a_cut_off_video_ends(tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 20, (160, 120))
    for _ in range(20):
        writer.write(card("red"))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 0 < len(all_frames(opened(f"file:{path}", UNPACED))) < 20


def test_paths_that_are_wrong_are_distinguished(tmp_path: Path) -> None:
    with pytest.raises(CameraAbsent, match="no file"):
        opened(f"file:{tmp_path}/none.mp4", PACED)
    with pytest.raises(CameraAbsent, match="no folder"):
        opened(f"folder:{tmp_path}/none", PACED)
    with pytest.raises(CameraUnsupported) as raised:
        opened(f"file:{tmp_path}", PACED)
    assert f"folder:{tmp_path}" in raised.value.remedy
    (tmp_path / "a.txt").write_text("no picture")
    with pytest.raises(CameraAbsent, match="contains no pictures"):
        opened(f"folder:{tmp_path}", PACED)
    with pytest.raises(CameraUnsupported, match="not a folder"):
        opened(f"folder:{tmp_path}/a.txt", PACED)
    for kind in ("file", "folder"):
        with pytest.raises(CameraUnsupported, match="is not a f") as raised:
            opened(f"{kind}:/dev/null", UNPACED)
        assert "/dev/null" not in raised.value.remedy, "what was just tried does not help"


def test_a_file_one_may_not_read_is_denied(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CameraDenied, match="may not read"):
        opened(f"file:{clip}", PACED)


def test_pictures_come_in_natural_order_each_once(tmp_path: Path) -> None:
    for name, colour in (("10.png", "blue"), ("2.jpg", "green"), ("1.PNG", "red"), (".hidden.png", "red")):
        cv2.imwrite(str(tmp_path / name), card(colour))
    camera = opened(f"folder:{tmp_path}", UNPACED)
    frames = all_frames(camera)
    assert [colour_of(frame.pixels) for frame in frames] == ["red", "green", "blue"]
    assert np.diff([frame.captured_at for frame in frames]) == pytest.approx(SLIDE_S)


def test_natural_order_puts_two_before_ten() -> None:
    names = ["img10.jpg", "img2.jpg", "IMG1.jpg", "a.jpg", "3.jpg"]
    assert [path.name for path in sorted(map(Path, names), key=natural)] == [
        "3.jpg",
        "a.jpg",
        "IMG1.jpg",
        "img2.jpg",
        "img10.jpg",
    ]


def test_paced_each_picture_stays_for_a_while(tmp_path: Path) -> None:
    for name, colour in (("1.png", "red"), ("2.png", "green")):
        cv2.imwrite(str(tmp_path / name), card(colour))
    camera = create(f"folder:{tmp_path}", CameraOptions(fps=100), isolated=False)
    camera.open(Deadline.after(15))
    first = camera.read(Deadline.after(5))
    assert isinstance(camera, FolderCamera)
    camera._started -= SLIDE_S  # as if the first one's time were over
    camera._sequence = int(SLIDE_S * 100)
    second = camera.read(Deadline.after(5))
    assert (colour_of(first.pixels), colour_of(second.pixels)) == ("red", "green")
    assert camera.current.name == "2.png"
    camera._started += 5
    with pytest.raises(CameraSilent):
        camera.read(Deadline.after(0.05))
    camera.close()
    with pytest.raises(CameraError, match="closed"):
        camera.read(Deadline.after(1))


def test_a_looping_folder_goes_on(tmp_path: Path) -> None:
    for name, colour in (("1.png", "red"), ("2.png", "green")):
        cv2.imwrite(str(tmp_path / name), card(colour))
    frames = all_frames(opened(f"folder:{tmp_path}", CameraOptions(pace=False, loop=True)), limit=5)
    assert [colour_of(frame.pixels) for frame in frames] == ["red", "green", "red", "green", "red"]


def test_a_single_picture_is_a_source(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "one.jpg"), card("blue"))
    camera = opened(f"file:{tmp_path}/one.jpg", UNPACED)
    frames = all_frames(camera)
    assert [colour_of(frame.pixels) for frame in frames] == ["blue"]
    assert (camera.info.kind, camera.info.name) == ("file", "one.jpg")


def test_damaged_pictures_are_passed_over_and_named(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "2.jpg"), card("red"))
    (tmp_path / "1.jpg").write_bytes((tmp_path / "2.jpg").read_bytes()[:400])
    (tmp_path / "3.jpg").write_bytes(b"")
    camera = opened(f"folder:{tmp_path}", UNPACED)
    assert [colour_of(frame.pixels) for frame in all_frames(camera)] == ["red"]
    assert isinstance(camera, FolderCamera)
    assert camera.skipped == ["1.jpg"]
    assert camera.info.notes == ("1 entry of the folder left out: 1 not pictures that Lookout reads.",)
    (tmp_path / "2.jpg").unlink()
    with pytest.raises(CameraUnsupported, match="can be read") as raised:
        opened(f"folder:{tmp_path}", UNPACED)
    assert "ends too early" in raised.value.remedy


def test_files_are_chosen_by_what_they_hold_and_junk_is_counted(tmp_path: Path) -> None:
    """jpegview#168, motioneye#89, rclip#303."""
    picture = cv2.imencode(".jpg", card("red"))[1].tobytes()
    for name in ("1.jfif", "2.mpo", "3.jpe", "4", "5.txt"):
        (tmp_path / name).write_bytes(picture)
    (tmp_path / "._1.jpg").write_bytes(b"Mac OS X")
    (tmp_path / "film.jpg").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    for name in ("@eaDir", ".thumbnails"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(picture)
    camera = opened(f"folder:{tmp_path}", UNPACED)
    assert len(all_frames(camera)) == 5
    [note] = camera.info.notes
    assert note.startswith("4 entries")
    assert "1 not pictures" in note
    assert "3 hidden" in note


def test_what_is_not_a_regular_file_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.jpg")
    (tmp_path / "2.jpg").symlink_to("/dev/zero")
    with (tmp_path / "3.jpg").open("wb") as large:
        large.write(b"\xff\xd8\xff")
        large.truncate(3 * 2**30)
    cv2.imwrite(str(tmp_path / "4.jpg"), card("blue"))
    began = time.monotonic()
    camera = opened(f"folder:{tmp_path}", UNPACED)
    assert [colour_of(frame.pixels) for frame in all_frames(camera)] == ["blue"]
    assert "3 not regular files or too large" in camera.info.notes[0]
    assert time.monotonic() - began < 8


def test_closing_a_folder_does_not_wait_for_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing, opening and reading may hang where a disk or share stops answering: a pause comes all the same."""
    answering = threading.Event()
    monkeypatch.setattr(folder, "find_pictures", lambda *_: answering.wait(30))
    camera = FolderCamera(str(tmp_path), PACED)
    closer = threading.Timer(0.3, camera.close)
    closer.start()
    began = time.monotonic()
    with pytest.raises(CameraError):
        camera.open(Deadline.after(20))
    assert time.monotonic() - began < 3
    with pytest.raises(CameraSilent, match="in time"):
        FolderCamera(str(tmp_path), PACED).open(Deadline.after(0.8))
    answering.set()


def test_a_disk_that_never_answers_does_not_cost_a_thread_for_each_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = threading.Event()
    monkeypatch.setattr(folder, "find_pictures", lambda *_: answering.wait(30))
    before = threading.active_count()
    for _ in range(folder.MAX_STUCK + 3):
        with pytest.raises(CameraSilent):
            FolderCamera(str(tmp_path), PACED).open(Deadline.after(0.55))
    assert threading.active_count() <= before + folder.MAX_STUCK
    answering.set()


def test_a_picture_that_takes_for_ever_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "DECODE_S", 0.5)
    (tmp_path / "1.png").write_bytes(endless())
    cv2.imwrite(str(tmp_path / "2.jpg"), card("green"))
    camera = opened(f"folder:{tmp_path}", UNPACED, 15)
    assert [colour_of(frame.pixels) for frame in all_frames(camera)] == ["green"]
    assert isinstance(camera, FolderCamera)
    assert camera.skipped == ["1.png"]


def test_a_folder_of_which_nothing_can_be_read_has_not_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened before the first picture was read, it was called "ended", without a word and for good."""
    waiting = threading.Event()
    (tmp_path / "1.jpg").write_bytes(cv2.imencode(".jpg", card("red"))[1].tobytes()[:400])
    listed = folder.find_pictures(tmp_path)
    monkeypatch.setattr(folder, "find_pictures", lambda *_: listed)
    monkeypatch.setattr(folder._Reader, "_decoded", lambda *_: waiting.wait(10) and None)
    camera = opened(f"folder:{tmp_path}", PACED, 1.0)
    waiting.set()
    with pytest.raises(CameraUnsupported, match="can be read"):
        camera.read(Deadline.after(5))
    camera.close()


def test_large_pictures_are_shown_at_a_fraction_of_their_size(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.jpg"), np.zeros((2200, 3000, 3), np.uint8))
    camera = opened(f"file:{tmp_path}/1.jpg", UNPACED)
    assert (camera.info.width, camera.info.height) == (1500, 1100)


def test_a_webp_is_turned_and_stands_on_white_as_everywhere(tmp_path: Path) -> None:
    pixels = np.full((120, 160, 4), 255, np.uint8)
    pixels[:, :80] = 0
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "1.webp", lossless=True, exif=exif)
    frame = all_frames(opened(f"folder:{tmp_path}", UNPACED))[0]
    assert frame.pixels.shape[:2] == (160, 120)
    assert (frame.pixels == 255).all()


@pytest.mark.parametrize(
    ("orientation", "where"), [(1, "top left"), (3, "bottom right"), (6, "top right"), (8, "bottom left")]
)
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int, where: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(corner()).save(tmp_path / "photo.jpg", exif=exif, quality=95)
    frame = all_frames(opened(f"folder:{tmp_path}", UNPACED))[0]
    assert white_corner(frame.pixels) == where
    assert frame.pixels.shape[:2] == ((160, 120) if orientation in (6, 8) else (120, 160))

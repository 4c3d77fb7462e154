"""Video4Linux nodes: cameras are distinguished from the codecs and processors a Pi has beside them."""

from __future__ import annotations

import errno
import struct
from pathlib import Path

import pytest
from lookout.camera.sources import v4l2
from lookout.errors import CameraAbsent, CameraBusy, CameraDenied, CameraError, CameraUnsupported

CAPTURE, OUTPUT, M2M, META, STREAMING = 0x1, 0x2, 0x8000, 0x800000, 0x04000000
NODES = {
    "video0": ("uvcvideo", "HD Pro Webcam C920", CAPTURE | STREAMING),
    "video1": ("uvcvideo", "HD Pro Webcam C920", META | STREAMING),
    "video2": ("unicam", "unicam", CAPTURE | STREAMING),
    "video10": ("bcm2835-codec", "bcm2835-codec-decode", M2M | STREAMING),
    "video13": ("bcm2835-isp", "bcm2835-isp", OUTPUT | STREAMING),
    "video14": ("bcm2835-isp", "bcm2835-isp", CAPTURE | STREAMING),
    "video20": ("rp1-cfe", "rp1-cfe", CAPTURE | STREAMING),
    "video21": ("pispbe", "pispbe", CAPTURE | STREAMING),
    "video30": ("uvcvideo", "Second", CAPTURE | STREAMING),
}


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A /dev with the nodes of a Pi with two webcams."""
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    for name in NODES:
        (tmp_path / name).touch()
    (by_id / "usb-046d_C920-video-index0").symlink_to(tmp_path / "video0")
    monkeypatch.setattr(v4l2, "DEV", tmp_path)
    monkeypatch.setattr(v4l2, "BY_ID", by_id)

    def ioctl(descriptor: int, request: int, answer: bytearray) -> int:
        assert request == v4l2._QUERYCAP
        name = Path(f"/proc/self/fd/{descriptor}").readlink().name
        driver, card, own = NODES[name]
        whole = 0x80000000 | CAPTURE | META | STREAMING  # of the physical device, more than the node can
        answer[:] = struct.pack("16s32s32sIII12x", driver.encode(), card.encode(), b"usb-1.2", 0x60C00, whole, own)
        return 0

    monkeypatch.setattr(v4l2.fcntl, "ioctl", ioctl)
    return tmp_path


def test_only_cameras_are_listed_in_order_with_a_name_that_stays(nodes: Path) -> None:
    found, refused = v4l2.cameras()
    assert refused == []
    assert [(device.card, device.address) for device in found] == [
        ("HD Pro Webcam C920", f"usb:{nodes}/by-id/usb-046d_C920-video-index0"),
        ("Second", f"usb:{nodes}/video30"),
    ]


def test_numbers_paths_and_ids_lead_to_the_node(nodes: Path) -> None:
    assert v4l2.resolve("0") == f"{nodes}/video0"
    assert v4l2.resolve(f"{nodes}/video30") == f"{nodes}/video30"
    assert v4l2.resolve("usb-046d_C920-video-index0") == f"{nodes}/video0"
    assert v4l2.resolve(f"{nodes}/by-id/usb-046d_C920-video-index0") == f"{nodes}/video0"


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOENT, CameraAbsent),
        (errno.ENODEV, CameraAbsent),
        (errno.EACCES, CameraDenied),
        (errno.EBUSY, CameraBusy),
        (errno.EIO, CameraError),
    ],
)
def test_each_refusal_of_the_kernel_has_its_kind_and_remedy(
    number: int, kind: type[CameraError], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, "refused")

    monkeypatch.setattr(v4l2.os, "open", refuse)
    with pytest.raises(CameraError) as raised:
        v4l2.query("/dev/video0")
    assert type(raised.value) is kind
    assert raised.value.remedy


def test_a_node_that_vanishes_during_the_question_is_absent(nodes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(*_: object) -> int:
        raise OSError(errno.ENODEV, "No such device")

    monkeypatch.setattr(v4l2.fcntl, "ioctl", vanish)
    with pytest.raises(CameraAbsent):
        v4l2.query(str(nodes / "video0"))
    found, refused = v4l2.cameras()
    assert found == []
    assert len(refused) == len(NODES)


def test_a_file_is_not_a_video_device(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(CameraUnsupported):
        v4l2.query(str(tmp_path / "x"))

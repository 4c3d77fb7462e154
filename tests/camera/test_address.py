"""Addresses: what they name, and that they never show a password."""

from __future__ import annotations

import random
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from lookout.camera import create, is_live
from lookout.camera.address import parse
from lookout.camera.interface import CameraOptions
from lookout.errors import CameraUnsupported
from lookout.redaction import is_masked, masked, redact, redact_text

OPTIONS = CameraOptions()


@pytest.mark.parametrize("address", ["file:rtsp://user:secretpw@h/x", "folder: http://h/x?pwd=secretpw"])
def test_an_address_behind_another_kind_hides_its_password_too(address: str) -> None:
    assert "secretpw" not in redact(address)
    assert "secretpw" not in masked(address)
    assert "secretpw" not in redact_text("There is no file rtsp:/user:secretpw@h/x, h/x?pwd=secretpw", address)


def test_what_is_masked_is_known_as_such() -> None:
    assert masked("rtsp://user:pw@cam/live") == "rtsp://…@cam/live"
    assert is_masked(masked("rtsp://user:pw@cam/live"))
    assert is_masked(masked("http://cam/x?pwd=word"))
    assert not is_masked("rtsp://user:pw@cam/live")
    assert masked("demo") == "demo"


@pytest.mark.parametrize(
    ("address", "kind", "rest"),
    [
        ("auto", "auto", ""),
        (" demo ", "demo", ""),
        ("pi:0", "pi", "0"),
        ("pi", "pi", "0"),
        ("usb:0", "usb", "0"),
        ("usb:/dev/v4l/by-id/usb-046d_C920-video-index0", "usb", "/dev/v4l/by-id/usb-046d_C920-video-index0"),
        ("/dev/video2", "usb", "/dev/video2"),
        ("rtsp://host/stream", "rtsp", "rtsp://host/stream"),
        ("rtsps://host/stream", "rtsp", "rtsps://host/stream"),
        ("https://host/s.mjpg", "http", "https://host/s.mjpg"),
        ("file:clips/a b.mp4", "file", "clips/a b.mp4"),
        ("folder:photos/", "folder", "photos/"),
        ("scripted:some.module:steps", "scripted", "some.module:steps"),
    ],
)
def test_every_kind_of_address_is_understood(address: str, kind: str, rest: str) -> None:
    parsed = parse(address)
    assert (parsed.kind, parsed.rest) == (kind, rest)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "webcam",
        "ftp://host/x",
        "file:",
        "folder: ",
        "scripted:module",
        "scripted::x",
        "rtsp://",
        "rtsp:///x",
        "http:host",
    ],
)
def test_a_bad_address_gets_one_sentence_and_a_remedy(address: str) -> None:
    with pytest.raises(CameraUnsupported) as raised:
        create(address, OPTIONS, isolated=True)
    assert raised.value.detail.endswith(".")
    assert raised.value.remedy.startswith("Use ")


@pytest.mark.parametrize("address", ["file:clip.mp4", "folder:photos"])
def test_files_and_folders_are_not_live(address: str) -> None:
    assert not is_live(address)


@pytest.mark.parametrize(
    "address", ["auto", "demo", "pi:0", "usb:0", "rtsp://h/s", "http://h/s", "scripted:a:b", "nonsense"]
)
def test_everything_else_is_live(address: str) -> None:
    assert is_live(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://admin:hunter22@cam:554/live", "rtsp://cam:554/live"),
        ("rtsp://admin:hunter22@[::1]:554/live", "rtsp://[::1]:554/live"),
        ("rtsp://admin@cam/live", "rtsp://cam/live"),
        ("http://cam/video.cgi?user=admin&pwd=hunter22&channel=1", "http://cam/video.cgi?user=***&pwd=***&channel=1"),
        ("http://cam/video.cgi?channel=1", "http://cam/video.cgi?channel=1"),
        ("rtsp://admin:hun/ter22@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:hun#ter22@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:hun@ter22@cam/live", "rtsp://cam/live"),
        ("http://cam/@home/video", "http://cam/@home/video"),
        ("http://cam/snap.cgi?pw=hunter22&channel=1", "http://cam/snap.cgi?pw=***&channel=1"),
        (
            "rtsp://cam/user=admin_password=hunter_22_channel=1_stream=0.sdp",
            "rtsp://cam/user=***_password=***_channel=1_stream=0.sdp",
        ),
        ("rtsp://cam/user=admin&password=hunter22&channel=1", "rtsp://cam/user=***&password=***&channel=1"),
        ("rtsp:/admin:hunter22@cam/live", "…@cam/live"),
        ("admin:hunter22@cam/live", "…@cam/live"),
        ("http:cam/video.cgi?pwd=hunter22", "http:cam/video.cgi?pwd=***"),
        ("usb:/dev/v4l/by-id/a@b", "usb:/dev/v4l/by-id/a@b"),
        ("/dev/v4l/by-id/a@b", "/dev/v4l/by-id/a@b"),
        ("file:a@b.mp4", "file:a@b.mp4"),
        ("demo", "demo"),
        ("rtsp://admin:12345/6@cam", "rtsp://cam"),
        ("rtsp://admin:12?45@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:12#45@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:p@ss/w0rd@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:hun/ter22", "rtsp://admin:…"),
        ("rtsp://admin:hun/t@cam/snap.cgi?pwd=hun@ter", "rtsp://…"),
        ("http://cam:8080/snap.cgi?user=admin&pwd=hun@ter", "http://cam:8080/snap.cgi?user=***&pwd=***"),
        ("rtsp://admin:pass@hunter22:word@cam/live", "rtsp://cam/live"),
        ("rtsp://admin:12/45@x:hunter22", "rtsp://x:…"),
        ("rtsp://admin:12/45@cam:554/live", "rtsp://cam:554/live"),
        ("usb:rtsp://admin:hunter22@cam/live", "usb:rtsp://cam/live"),
        ("usb:rtsp:/admin:hunter22@cam/live", "usb:…@cam/live"),
        ("usb:admin:hunter22@cam/live", "…@cam/live"),
        ("auto:rtsp://admin:hunter22@cam/live", "auto:rtsp://cam/live"),
        ("camera: http://admin:hunter22@cam/live", "camera:http://cam/live"),
        ("usb:/dev/v4l/by-path/platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.1:1.0-video-index0",) * 2,
        ("rtsp://cam/live\nERROR forged \x1b[2J", "rtsp://cam/liveERROR forged \\x1b[2J"),
        ("file:a\nb\u2028\u202e.mp4", "file:a\\nb\\u2028\\u202e.mp4"),
    ],
)
def test_addresses_are_shown_without_credentials(address: str, shown: str) -> None:
    assert redact(address) == shown


def test_an_unreadable_stream_address_is_explained_without_its_password() -> None:
    with pytest.raises(CameraUnsupported) as raised:
        create("rtsp://admin:hun/ter22@cam/live", OPTIONS, isolated=False)
    assert "ter22" not in str(raised.value)
    assert "%2F" in raised.value.remedy


SIGNS = "/?#@:%&=_;+' \\\""


def test_no_sign_in_a_password_lets_a_part_of_it_out() -> None:
    """bluenviron/mediamtx#557: rtsp://admin:12345/6@host was taken for the host "admin" and shown whole."""
    chance = random.Random(7)
    words = ("hunter", "22", "5541", "topsecret")
    for _ in range(3000):
        password = "".join(chance.choice((*words, *SIGNS)) for _ in range(chance.randrange(1, 7)))
        address = f"{chance.choice(('rtsp', 'http', 'usb:rtsp'))}://admin:{password}@cam.lan/live"
        said = [redact(address), masked(address), redact_text(f"[{address}] did not open", address)]
        try:
            rest = parse(address).rest
        except CameraUnsupported as error:
            said.append(str(error))
        else:
            assert urlsplit(rest).hostname == "cam.lan", address
        assert not [(address, text) for text in said if any(word in text for word in ("hunter", "5541", "topsecret"))]


@pytest.mark.parametrize(
    "address", ["rtsp://admin:12345/6@cam", "rtsp://admin:1/2@cam/x", "http://me:1?2@cam", "rtsp://me:a@b/c@cam"]
)
def test_a_bare_sign_in_a_password_is_refused_with_the_way_to_write_it(address: str) -> None:
    with pytest.raises(CameraUnsupported) as raised:
        parse(address)
    assert "%2F %3F %23 %40 %3A %25" in raised.value.remedy


@pytest.mark.parametrize(
    "address",
    [
        "http://cam/@home/video",
        "http://cam/snap?mail=a@b.org",
        "http://cam:8080/snap.cgi?user=admin&pwd=p@ss",
        "rtsp://[::1]/live@main",
        "rtsp://me:p%2Fw@cam/live",
    ],
)
def test_an_at_sign_that_ends_no_password_is_left_alone(address: str) -> None:
    assert parse(address).rest == address


@pytest.mark.parametrize(
    "address",
    ["usb:rtsp://me:hunter22@cam/x", "pi:http://cam/x", "file:RTSP://me:hunter22@cam", "folder: http:/h/x"],
)
def test_a_stream_behind_the_name_of_another_kind_is_refused(address: str) -> None:
    with pytest.raises(CameraUnsupported, match="is a network address") as raised:
        parse(address)
    assert "hunter22" not in str(raised.value)


@pytest.mark.parametrize("address", ["rtsp://cam/a\nERROR forged", "file:a\x1b[2J.mp4", "usb:\x07", "demo\n\nx"])
def test_control_characters_are_refused_and_reach_no_line(address: str) -> None:
    with pytest.raises(CameraUnsupported) as raised:
        parse(address)
    assert str(raised.value).isprintable()
    assert redact(address).isprintable()


@pytest.mark.parametrize(
    ("address", "rest"), [("RTSP://Cam/Live", "rtsp://Cam/Live"), ("Http://cam", "http://cam"), (" DEMO ", "")]
)
def test_capitals_in_the_kind_are_understood(address: str, rest: str) -> None:
    assert parse(address).rest == rest


@pytest.mark.parametrize(
    "address", ["rtsp:/admin:hunter22@cam/live", "admin:hunter22@cam/live", "//admin:hunter22@cam/live"]
)
def test_what_is_not_an_address_is_reported_without_its_password(address: str) -> None:
    with pytest.raises(CameraUnsupported) as raised:
        create(address, OPTIONS, isolated=True)
    assert "hunter22" not in str(raised.value)
    assert "@cam/live" in raised.value.detail


@pytest.mark.parametrize("sign", "/#?@:%&=;!$'\"<>[]{}|^` ,")
@pytest.mark.parametrize("before", ["//", "rtsp:", "rtsp:/", "rtsp://", "HTTP://", "srt://", "usb:rtsp://"])
def test_a_line_about_an_address_shows_nothing_of_a_password_in_it(before: str, sign: str) -> None:
    """bluenviron/mediamtx#557, and its siblings that are not even an address."""
    address = f"{before}admin:hunter22{sign}secretpw@cam/live"
    shown = redact_text(f"could not open {address}: nope", address) + redact(address)
    assert "hunter22" not in shown
    assert "secretpw" not in shown


def test_words_of_a_path_that_are_secret_are_left_out_of_log() -> None:
    address = "rtsp://cam/user=admin_password=hunter22_channel=1"
    assert "hunter22" not in redact_text("the camera refuses hunter22", address)


def test_lines_of_log_lose_addresses_and_the_words_themselves() -> None:
    address = "rtsp://admin:hunter%4022@cam/live?token=abcd1234"
    line = "could not open rtsp://admin:hunter%4022@cam/live: password hunter@22, token abcd1234 refused"
    shown = redact_text(line, address)
    assert "hunter" not in shown
    assert "abcd1234" not in shown
    assert "rtsp://cam/live" in shown


def test_importing_cameras_loads_nothing_heavy() -> None:
    code = "import lookout.camera, sys; print([m for m in ('cv2', 'numpy', 'picamera2') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"

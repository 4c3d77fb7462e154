"""Messages between the service and a camera's process survive the trip; nonsense is refused."""

from __future__ import annotations

import dataclasses
import os

import pytest
from lookout import errors
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.camera.isolation import protocol

LAYOUT = protocol.Layout((480, 640, 3), "BGR", 640, 480, 270, "vertical", 921600)
PICTURE = protocol.Picture(2, 1234.5678, 123456789, 2**32 - 1, LAYOUT)


@pytest.mark.parametrize("shape", [(480, 640, 3), (720, 640), (5000,)])
def test_pictures_survive(shape: tuple[int, ...]) -> None:
    picture = dataclasses.replace(PICTURE, layout=dataclasses.replace(LAYOUT, shape=shape))
    assert protocol.Picture.unpack(picture.pack()) == picture


@pytest.mark.parametrize(
    "change",
    [
        {"shape": (481, 640, 3)},
        {"shape": ()},
        {"bytes_per_slot": 921601},
        {"bytes_per_slot": protocol.MAX_PICTURE + protocol.PAGE, "shape": (20000, 20000)},
        {"shape": (2**31, 2**31, 3)},
    ],
)
def test_pictures_that_cannot_be_are_refused(change: dict[str, object]) -> None:
    layout = dataclasses.replace(LAYOUT, **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="impossible"):
        protocol.Picture.unpack(dataclasses.replace(PICTURE, layout=layout).pack())


def test_slots_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="impossible"):
        protocol.Picture.unpack(dataclasses.replace(PICTURE, slot=protocol.SLOTS).pack())


def test_ten_thousand_random_messages_are_refused_or_harmless() -> None:
    for _ in range(10_000):
        try:
            picture = protocol.Picture.unpack(b"P" + os.urandom(len(PICTURE.pack()) - 1))
        except ValueError:  # UnicodeDecodeError is one
            continue
        assert picture.slot < protocol.SLOTS
        assert picture.layout.size <= picture.layout.bytes_per_slot <= protocol.MAX_PICTURE


def test_hello_survives_with_every_option() -> None:
    options = CameraOptions(320, 240, 7.5, 90, "both", {"AfMode": 2, "x": [1, 2]}, "/usr/bin/python3", True, False)
    hello = protocol.Hello("rtsp://a:b@c/d", options, 4.5, ("/x", "/y"))
    assert protocol.Hello.unpack(hello.pack()) == hello


def test_ready_survives() -> None:
    info = CameraInfo("pi", "imx708", 640, 480, None, True, ("One.", "Two."))
    assert protocol.unpack_ready(protocol.pack_ready(info)) == info


@pytest.mark.parametrize("kind", [errors.CameraError, *errors.CameraError.__subclasses__()])
def test_every_camera_error_arrives_as_it_was(kind: type[errors.CameraError]) -> None:
    error = protocol.unpack_error(protocol.pack_error(kind("What happened.", "What helps.")))
    assert type(error) is kind
    assert (error.detail, error.remedy) == ("What happened.", "What helps.")


def test_other_errors_arrive_as_a_camera_fault() -> None:
    error = protocol.unpack_error(protocol.pack_error(errors.PictureUnreadable("Damaged.", "Another.")))
    assert type(error) is errors.CameraError
    assert error.detail == "Damaged."


def test_slots_are_whole_pages() -> None:
    assert protocol.room_for(1) == protocol.PAGE
    assert protocol.room_for(protocol.PAGE) == protocol.PAGE
    assert protocol.room_for(640 * 480 * 3) % protocol.PAGE == 0


@pytest.mark.parametrize("character", ["x", "\n", "\U0001f408"])
def test_an_error_with_endless_words_is_cut_and_arrives(character: str) -> None:
    message = protocol.pack_error(errors.CameraBusy(20_000 * character, 20_000 * character))
    assert len(message) <= protocol.MAX_MESSAGE
    error = protocol.unpack_error(message)
    assert type(error) is errors.CameraBusy
    assert set(error.detail) == set(error.remedy) == {character}

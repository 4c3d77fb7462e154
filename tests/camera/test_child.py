"""The child's loop, run here in a thread: slots, dropping, the service's goodbye."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lookout.camera.interface import CameraOptions
from lookout.camera.isolation import child, protocol
from lookout.camera.isolation.child import Slots, Worker
from lookout.errors import CameraError

from tests.camera.cards import card

OPTIONS = CameraOptions(fps=100)


@contextlib.contextmanager
def running(script: str) -> Iterator[tuple[socket.socket, threading.Thread]]:
    """A worker on a script, as the service sees it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(5)
    memory = os.memfd_create("test")
    ours.send(protocol.Hello(f"scripted:tests.camera.{script}", OPTIONS, 5.0).pack())

    def run() -> None:
        with theirs:
            Worker(theirs, memory).run()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield ours, thread
    finally:
        ours.close()
        thread.join(5)
        os.close(memory)
        assert not thread.is_alive()


def received(line: socket.socket) -> protocol.Picture:
    return protocol.Picture.unpack(line.recv(protocol.MAX_MESSAGE))


def test_ready_comes_first_and_then_no_more_pictures_than_slots() -> None:
    with running("scripts:still") as (line, _):
        info = protocol.unpack_ready(line.recv(protocol.MAX_MESSAGE))
        assert (info.width, info.height) == (160, 120)
        slots = {received(line).slot for _ in range(protocol.SLOTS)}
        assert slots == set(range(protocol.SLOTS))
        assert not select.select([line], [], [], 0.2)[0]  # all slots are out: frames are dropped, not queued
        line.send(bytes([2]))
        picture = received(line)
        assert picture.slot == 2
        assert picture.sequence > protocol.SLOTS + 3


def test_a_slot_given_back_twice_is_not_used_twice() -> None:
    with running("scripts:still") as (line, _):
        line.recv(protocol.MAX_MESSAGE)
        for _ in range(protocol.SLOTS):
            received(line)
        line.send(bytes([1, 1]))
        assert received(line).slot == 1
        assert not select.select([line], [], [], 0.2)[0]


def test_it_ends_when_the_service_hangs_up() -> None:
    with running("scripts:still") as (line, thread):
        line.recv(protocol.MAX_MESSAGE)
        line.close()
        thread.join(2)
        assert not thread.is_alive()


def test_it_ends_when_the_service_hangs_up_while_nothing_comes() -> None:
    with running("scripts:one_then_quiet") as (line, thread):
        line.recv(protocol.MAX_MESSAGE)
        line.close()
        thread.join(2)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("script", "code"), [("scripts:busy_at_once", "camera_busy"), ("scripts:nothing", "camera_unsupported")]
)
def test_an_error_on_opening_is_the_only_message(script: str, code: str) -> None:
    with running(script) as (line, _):
        assert protocol.unpack_error(line.recv(protocol.MAX_MESSAGE)).code == code
        assert line.recv(protocol.MAX_MESSAGE) == b""


def test_the_end_is_reported() -> None:
    with running("scripts:three_then_end") as (line, _):
        line.recv(protocol.MAX_MESSAGE)
        messages = [line.recv(protocol.MAX_MESSAGE) for _ in range(4)]
        assert [message[:1] for message in messages] == [b"P", b"P", b"P", protocol.END]


def test_pictures_must_not_outgrow_their_slots() -> None:
    memory = os.memfd_create("test")
    slots = Slots(memory, 2)
    slots.write(1, card("red", 64, 48))
    assert os.fstat(memory).st_size == 2 * protocol.room_for(64 * 48 * 3)
    with pytest.raises(CameraError, match="became larger"):
        slots.write(0, card("red", 640, 480))
    os.close(memory)


def test_it_starts_with_only_the_standard_library() -> None:
    """As a script, isolated, without site-packages: what the system's Python offers a child at the least."""
    code = (
        "import runpy, sys; module = runpy.run_path(sys.argv[1]); module['bootstrap'](); module['bootstrap']();"
        "import lookout.camera, lookout.camera.isolation.protocol, lookout.camera.sources.pi, lookout.camera.raw;"
        "import lookout.deadline;"
        "print(sorted(name for name in ('numpy', 'cv2', 'pydantic') if name in sys.modules), len(sys.path))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(Path(child.__file__))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("[] ")


def test_it_does_not_start_for_a_service_that_is_gone() -> None:
    life, other = os.pipe()
    os.close(other)
    done = subprocess.run(
        [sys.executable, "-I", str(Path(child.__file__)), "0", "0", str(life)],
        pass_fds=(life,),
        timeout=30,
        check=False,
    )
    os.close(life)
    assert done.returncode == 1

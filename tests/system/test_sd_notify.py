"""The protocol of sd_notify(3), against real datagram sockets."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from lookout.system.sd_notify import MAX_STATUS_CHARACTERS, Notifier


class Listener:
    """What systemd is to the service: a datagram socket."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.settimeout(5)

    def lines(self) -> list[str]:
        return self.socket.recv(65536).decode().split("\n")

    def is_silent(self) -> bool:
        self.socket.settimeout(0.05)
        try:
            self.socket.recv(65536)
        except TimeoutError:
            return True
        return False


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@lookout-test-{os.getpid()}-{time.time_ns()}"
    listening = Listener(address)
    yield listening
    listening.socket.close()


@pytest.fixture
def notifier(listener: Listener) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": listener.address})


def test_ready_comes_with_the_state_in_words(notifier: Notifier, listener: Listener) -> None:
    assert notifier.ready("Cat for 2 min") is True
    assert listener.lines() == ["READY=1", "STATUS=Cat for 2 min"]


def test_ready_needs_no_words(notifier: Notifier, listener: Listener) -> None:
    notifier.ready()
    assert listener.lines() == ["READY=1"]


def test_a_status_is_one_line_of_bounded_length(notifier: Notifier, listener: Listener) -> None:
    notifier.status("no camera:\n  the ribbon\tis loose " + "x" * 2000)
    (line,) = listener.lines()
    assert line.startswith("STATUS=no camera: the ribbon is loose xxx")
    assert len(line) == len("STATUS=") + MAX_STATUS_CHARACTERS


def test_a_status_cannot_smuggle_another_state_in(notifier: Notifier, listener: Listener) -> None:
    notifier.status("fine\nSTOPPING=1")
    assert listener.lines() == ["STATUS=fine STOPPING=1"]


def test_a_status_keeps_letters_of_every_language(notifier: Notifier, listener: Listener) -> None:
    notifier.status("貓 · Hündin")
    assert listener.lines() == ["STATUS=貓 · Hündin"]


def test_half_a_surrogate_does_not_lose_the_message(notifier: Notifier, listener: Listener) -> None:
    assert notifier.status("folder \udcff") is True
    assert listener.lines() == ["STATUS=folder ?"]


def test_watchdog_and_stopping(notifier: Notifier, listener: Listener) -> None:
    notifier.watchdog()
    notifier.stopping("Closing the camera")
    assert listener.lines() == ["WATCHDOG=1"]
    assert listener.lines() == ["STOPPING=1", "STATUS=Closing the camera"]


def test_reloading_carries_the_monotonic_time(notifier: Notifier, listener: Listener) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    first, second = listener.lines()
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= after


def test_an_empty_status_still_sends_nothing_harmful(notifier: Notifier, listener: Listener) -> None:
    notifier.status("  \n ")
    assert listener.lines() == [""]


@pytest.mark.parametrize("address", ["", "relative/path", "vsock:2:9999"])
def test_without_a_listener_every_call_is_quiet(address: str) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "10000000"})
    assert not notifier.active
    assert notifier.watchdog_interval_s is None
    assert not any(
        [
            notifier.ready("x"),
            notifier.status("x"),
            notifier.watchdog(),
            notifier.stopping(),
            notifier.reloading(),
        ]
    )


def test_outside_systemd_there_is_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert Notifier.from_environment() == Notifier(None, None)


@pytest.mark.parametrize("address", ["/nowhere/notify", "@nobody-listens", "/" + "x" * 500, "/with\0zero"])
def test_a_listener_that_is_gone_is_not_an_error(address: str) -> None:
    assert Notifier(address).ready() is False


def test_a_listener_that_does_not_read_never_blocks(notifier: Notifier, listener: Listener) -> None:
    began = time.monotonic()
    sent = [notifier.watchdog() for _ in range(2000)]
    assert time.monotonic() - began < 5
    assert sent[0] is True
    assert sent[-1] is False  # the queue was full; systemd reads what is in it and the next one gets through
    listener.lines()


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "10000000"}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 5.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "1", "WATCHDOG_PID": "me"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_its_limit_by_the_process_it_watches(
    environment: dict[str, str], interval: float | None
) -> None:
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": "/run/notify", **environment})
    assert notifier.watchdog_interval_s == interval


def test_one_message_leaves_no_descriptor_open(notifier: Notifier, listener: Listener) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        notifier.watchdog()
        listener.lines()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert listener.is_silent()

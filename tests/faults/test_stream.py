"""Faults of a camera on the network: a stream that stalls without closing, and a network that loses bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults import table
from tests.faults.eyes import Eyes
from tests.faults.network import Proxy, Tap, network_camera, proxy
from tests.faults.running import NOTICE_S, Service, running

AWAY_S = NOTICE_S + 0.5


@dataclass
class Streamed:
    service: Service
    camera: Tap
    between: Proxy


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streamed]:
    with network_camera() as camera, proxy(camera.port) as between:
        source = f"http://127.0.0.1:{between.port}/video"
        with running(tmp_path_factory.mktemp("stream"), source) as service:
            yield Streamed(service, camera, between)


@pytest.fixture
def streamed(shared: Streamed) -> Streamed:
    shared.camera.mode, shared.between.mode = "ok", "pass"
    shared.service.clean_slate()
    return shared


def _break(streamed: Streamed, fault: str) -> None:
    if fault in ("stall", "corrupt"):
        streamed.camera.mode = fault
    else:
        streamed.between.mode = fault


def _mend(streamed: Streamed) -> None:
    streamed.camera.mode, streamed.between.mode = "ok", "pass"


@pytest.mark.parametrize(
    ("fault", "name", "note"),
    [
        ("stall", "HTTP stream stalls, its socket stays open", "`stale`, camera `stalled`"),
        ("swallow", "network swallows every byte", "`stale`, camera `stalled`"),
        ("cut", "connection cut, and cut again", "`stale` or `absent`, with what a probe found"),
    ],
)
def test_a_stream_that_is_away_is_called_so_and_its_return_is_noticed(
    streamed: Streamed, fault: str, name: str, note: str
) -> None:
    with Eyes(streamed.service) as eyes:
        began = time.monotonic()
        _break(streamed, fault)
        time.sleep(AWAY_S)
        reported = streamed.service.state()
        back = time.monotonic()
        _mend(streamed)
        eyes.until_fresh(back)
    eyes.assert_truthful()
    eyes.assert_told(began, back)
    assert reported["camera"]["reason"]
    table.record(name, note, eyes.noticed(began), eyes.fresh_again(back))


@pytest.mark.parametrize(
    ("fault", "name"),
    [("lossy", "a proxy that loses bytes from the stream"), ("corrupt", "JPEGs of the stream are corrupt")],
)
def test_damaged_pictures_end_nothing(streamed: Streamed, fault: str, name: str) -> None:
    with Eyes(streamed.service) as eyes:
        began = time.monotonic()
        _break(streamed, fault)
        time.sleep(1.5)
        back = time.monotonic()
        _mend(streamed)
        eyes.until_fresh(back)
    eyes.assert_truthful()
    table.record(name, "what can be decoded; else `stale`", eyes.noticed(began), eyes.fresh_again(back))

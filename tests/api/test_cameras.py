"""The list of cameras: what is connected, asked for by pages while the chosen one is missing."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from lookout.camera.discover import Discovery, FoundCamera
from lookout.deadline import Deadline
from lookout.engine import camera_list

from tests.api.conftest import StartService
from tests.support.waiting import until

FOUND = Discovery((FoundCamera("usb", "usb:/dev/video0", "Desk camera", "/dev/video0"),), ("no Pi camera",), ("Look.",))


def test_what_is_connected_is_listed_with_its_address(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(camera_list, "discover", lambda *_: FOUND)
    with start().client() as client:
        reported = client.get("api/cameras").json()
    assert [camera["address"] for camera in reported["cameras"]] == ["usb:/dev/video0"]
    assert reported["reasons"] == ["no Pi camera"]


def test_a_crowd_of_pages_searches_once_and_a_stop_waits_for_no_search(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, go_on = [], threading.Event()

    def slowly(python: str, deadline: Deadline) -> Discovery:
        looks.append(python)
        go_on.wait(min(20.0, deadline.remaining()))
        return FOUND

    monkeypatch.setattr(camera_list, "discover", slowly)
    service = start()

    def ask() -> int:
        try:
            return httpx.get(f"{service.url}api/cameras", timeout=15.0).status_code
        except httpx.TransportError:
            return 0

    with ThreadPoolExecutor(6) as pool:
        answers = [pool.submit(ask) for _ in range(6)]
        until(lambda: looks, what="nobody looked")
        time.sleep(0.2)  # for the others to ask as well
        assert service.stop() < 10.0
        go_on.set()
        assert {answer.result() for answer in answers} <= {0, 500, 503}
    assert len(looks) == 1

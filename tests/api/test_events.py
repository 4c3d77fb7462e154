"""Events over HTTP: listed, looked at, marked, deleted and brought back."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import httpx
import numpy as np
import pytest

from tests.api.conftest import GREY, RED, Service, StartService, plain, wait_until
from tests.events.rows import MORNING, add, row


@pytest.fixture
def service(start: StartService) -> Service:
    return start()


@pytest.fixture
def http(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def test_events_come_in_pages_with_all_that_is_known(service: Service, http: httpx.Client) -> None:
    ids = add(service.history.store, *(row(MORNING + 60 * n) for n in range(7)), pictures=True)
    first = http.get("api/events", params={"limit": 5}).json()
    second = http.get("api/events", params={"limit": 5, "before": first["next"]}).json()
    assert [event["id"] for event in first["events"] + second["events"]] == ids[::-1]
    assert second["next"] is None
    event = http.get("api/events/1").json()
    assert event == second["events"][-1]
    assert event["started"] == "2026-05-01T07:00:00.000Z"
    assert (event["label"], event["for_s"], event["model"]["name"], event["picture"]) == ("cat", 10.0, "cats", True)


def test_filters(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row(), row(label="dog"), row(MORNING + 7200, kind="camera_lost", label=None))

    def ids(**query: str) -> list[int]:
        return [event["id"] for event in http.get("api/events", params=query).json()["events"]]

    assert ids(label="dog") == [2]
    assert ids(kind="camera_lost") == [3]
    assert ids(**{"from": "2026-05-01T08:00:00Z"}) == [3]
    assert ids(to="2026-05-01T10:00:00+02:00") == [2, 1]
    assert ids(kept="true") == []
    for wrong in ({"kind": "cat"}, {"from": "yesterday"}, {"limit": "0"}, {"review": "all"}, {"before": "0"}):
        assert http.get("api/events", params=wrong).json()["code"] == "request_invalid"


def test_the_pictures_and_the_curve(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row(), pictures=True)
    add(service.history.store, row())
    snapshot = http.get("api/events/1/snapshot.jpg")
    assert (snapshot.content, snapshot.headers["content-type"]) == (b"jpg of 1", "image/jpeg")
    assert snapshot.headers["cache-control"] == "no-store"
    assert http.get("api/events/1/thumbnail.webp").headers["content-type"] == "image/webp"
    curve = http.get("api/events/1/curve").json()
    assert curve["times_s"] == [0.0, 5.0, 10.0]
    assert curve["probabilities"]["cat"] == pytest.approx([0.5, 0.9, 1.0], abs=0.01)
    missing = http.get("api/events/2/snapshot.jpg")
    assert (missing.status_code, missing.json()["code"]) == (404, "no_picture")
    assert http.get("api/events/3/curve").json()["code"] == "unknown_event"


def test_a_mark_is_one_request_and_said_everywhere(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row())
    with service.history.feed.subscribe(changes=True) as news:
        answer = http.patch("api/events/1", json={"right": "  dog "})
        assert answer.status_code == 200
        assert [one.event.right for one in news.take(2.0)] == ["dog"]
    assert answer.json()["called"] == "dog"
    assert http.get("api/events", params={"label": "dog"}).json()["events"] == [answer.json()]
    for wrong in ({}, {"right": ""}, {"right": 3}, {"kept": None}, {"kept": "yes"}, {"why": {}}, {"note": "x" * 501}):
        refused = http.patch("api/events/1", json=wrong)
        assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid"), wrong
    assert http.patch("api/events/9", json={"kept": True}).json()["code"] == "unknown_event"


def test_a_deleted_event_is_out_of_sight(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row(), pictures=True)
    assert http.delete("api/events/1").json() == {"deleted": 1, "undo_for_s": 600.0}
    for path in ("api/events/1", "api/events/1/snapshot.jpg", "api/events/1/curve"):
        assert http.get(path).json()["code"] == "unknown_event"
    assert http.delete("api/events/1").status_code == 404


def test_the_running_service_records_what_it_sees(start: StartService) -> None:
    """From a frame to a picture on disk, with everything real but the camera."""
    service = start({"events.enabled": "true", "events.merge_s": "0.5"})
    with service.client() as client:
        wait_until(lambda: service.state()["answer"]["label"] == "cat")
        wait_until(lambda: bool(client.get("api/events", params={"kind": "seen"}).json()["events"]))
        service.camera.pixels = plain(GREY)
        wait_until(lambda: client.get("api/events/1").json()["picture"])
        event = client.get("api/events/1").json()
        assert (event["label"], event["model"]["name"], event["cut"]) == ("cat", "colours", False)
        assert event["frames"] > 0
        snapshot = cv2.imdecode(np.frombuffer(client.get("api/events/1/snapshot.jpg").content, np.uint8), 1)
        assert snapshot.shape == (240, 320, 3)
        assert snapshot[120, 160].tolist() == pytest.approx(list(RED), abs=12)
        thumbnail = cv2.imdecode(np.frombuffer(client.get("api/events/1/thumbnail.webp").content, np.uint8), 1)
        assert thumbnail.shape == (120, 160, 3)
        assert client.get("api/events/1/curve").json()["labels"][0] == "cat"

"""Events over HTTP: listed, looked at, marked, deleted and brought back."""

from __future__ import annotations

import csv
import io
import json
import time
import zipfile
from collections.abc import Iterator

import cv2
import httpx
import numpy as np
import pytest
from lookout.events.journal import insert_or_stamp
from websockets.sync.client import connect

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
    for wrong in (
        {"kind": "cat"},
        {"from": "yesterday"},
        {"to": "2026"},
        {"limit": "0"},
        {"review": "all"},
        {"before": "0"},
    ):
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
        # The row is kept before its pictures, and the thumbnail last.
        wait_until(lambda: client.get("api/events/1/thumbnail.webp").status_code == 200)
        event = client.get("api/events/1").json()
        assert (event["label"], event["model"]["name"], event["cut"]) == ("cat", "colours", False)
        assert event["frames"] > 0
        assert event["picture"]
        snapshot = cv2.imdecode(np.frombuffer(client.get("api/events/1/snapshot.jpg").content, np.uint8), 1)
        assert snapshot.shape == (240, 320, 3)
        assert snapshot[120, 160].tolist() == pytest.approx(list(RED), abs=12)
        thumbnail = cv2.imdecode(np.frombuffer(client.get("api/events/1/thumbnail.webp").content, np.uint8), 1)
        assert thumbnail.shape == (120, 160, 3)
        assert client.get("api/events/1/curve").json()["labels"][0] == "cat"
        wait_until(lambda: service.history.recorder.journal.unwritten == 0)


# --- many at once, undone, reported, exported ---------------------------------------------------------------------


def test_many_at_once_and_back(service: Service, http: httpx.Client) -> None:
    add(service.history.store, *(row(MORNING + n) for n in range(6)), row(label="dog"))
    marked = http.post("api/events/batch", json={"ids": [1, 2, 99], "set": {"right": "fox"}}).json()
    assert marked == {"changed": 2, "more": False, "undo_for_s": 600.0}
    deleted = http.post("api/events/batch", json={"filter": {"label": "cat"}, "delete": True}).json()
    assert deleted["changed"] == 4
    assert [event["id"] for event in http.get("api/events").json()["events"]] == [7, 2, 1]
    undone = http.post("api/events/undo").json()
    assert (undone["undone"], undone["events"]) == ("delete", 4)
    assert http.post("api/events/undo").json() == {"undone": "set", "events": 2, "more_for_s": None}
    assert http.get("api/events", params={"label": "fox"}).json()["events"] == []
    assert http.post("api/events/undo").json()["code"] == "nothing_to_undo"
    assert http.get("api/events/batch").status_code == http.delete("api/events/summary").status_code == 405
    for wrong in (
        {"ids": [1]},
        {"set": {"kept": True}},
        {"ids": [1], "set": {"kept": True}, "delete": True},
        {"ids": [], "delete": True},
        {"ids": [1], "delete": False},
        {"ids": [1], "delete": 1},
        {"ids": ["1"], "delete": True},
        {"filter": {"from": 0}, "delete": True},
        {"filter": {"kept": 1}, "delete": True},
    ):
        assert http.post("api/events/batch", json=wrong).json()["code"] == "request_invalid", wrong


def test_a_day_at_a_glance(service: Service, http: httpx.Client) -> None:
    store = service.history.store
    add(
        store,
        row(MORNING),
        row(MORNING + 30, label="cat"),
        row(MORNING + 3600, label="dog", right="cat"),
        row(MORNING + 7200, kind="camera_lost", label=None, ended=MORNING + 7200),
        row(MORNING + 7800, kind="camera_back", label=None, ended=MORNING + 7800),
    )
    run = {"run": "earlier", "boot": "b", "mono_start": 0.0, "started": MORNING - 600, "ended": MORNING + 9000}
    store.database.write(lambda connection: insert_or_stamp(connection, {**run, "clock_ok": 1, "first": "running"}))
    reported = http.get("api/events/summary", params={"day": "2026-05-01", "zone": "UTC"}).json()
    assert reported["counts"] == {"cat": 3}
    assert reported["hours"][7] == {"cat": 2}
    assert reported["hours"][8] == {"cat": 1}
    base = [(span["begin"][11:16], span["end"][11:16], span["state"]) for span in reported["band"] if not span["label"]]
    assert base == [
        ("00:00", "06:50", "off"),
        ("06:50", "09:00", "watching"),
        ("09:00", "09:10", "camera_lost"),
        ("09:10", "09:30", "watching"),
        ("09:30", "00:00", "off"),
    ]
    seen = [(span["begin"][11:19], span["end"][11:19], span["event"]) for span in reported["band"] if span["label"]]
    assert seen == [("07:00:00", "07:00:40", 1), ("08:00:00", "08:00:10", 3)]
    short = http.get("api/events/summary", params={"day": "2026-03-29", "zone": "Europe/Berlin"}).json()
    assert len(short["hours"]) == 23
    for wrong in (
        {"zone": "Mars/Olympus"},
        {"zone": "../etc"},
        {"day": "today"},
        {"day": "0"},
        {"day": "0001-01-01", "zone": "Asia/Taipei"},
    ):
        assert http.get("api/events/summary", params=wrong).json()["code"] == "request_invalid", wrong


def test_accuracy_counts_what_was_drawn_and_reviewed(service: Service, http: httpx.Client) -> None:
    nothing = http.get("api/events/accuracy").json()
    assert (nothing["reviewed"], nothing["interval"]) == (0, None)
    drawn = {"sampled": 1, "doubt": "sampled"}
    add(service.history.store, *(row(**drawn, right="cat") for _ in range(47)))
    add(service.history.store, *(row(**drawn, right="dog") for _ in range(3)), row(**drawn), row(right="dog"))
    reported = http.get("api/events/accuracy").json()
    assert (reported["reviewed"], reported["right"], reported["waiting"]) == (50, 47, 1)
    assert reported["interval"] == pytest.approx([0.838, 0.979], abs=0.001)
    assert reported["labels"] == {"cat": {"reviewed": 50, "right": 47}}


def test_exports_honour_marks_and_fit_spreadsheets(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row(note="=cmd()"), row(right="red/fox"), row(note="＝cmd()"), pictures=True)
    lines = list(csv.DictReader(io.StringIO(http.get("api/events.csv").text)))
    assert [line["called"] for line in lines] == ["cat", "red/fox", "cat"]
    assert [line["note"] for line in lines] == ["'=cmd()", "", "'＝cmd()"]
    answer = http.get("api/events.zip", params={"review": "done"})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["red_fox/2.jpg", "events.csv"]
        assert archive.read("red_fox/2.jpg") == b"jpg of 2"
        assert archive.testzip() is None
    assert "attachment" in answer.headers["content-disposition"]


def test_everything_goes_only_with_the_words_that_say_so(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row(kept=1), pictures=True)
    for query, body in (({}, {"confirm": "delete everything"}), ({"all": "true"}, {"confirm": "yes"}), ({}, {})):
        refused = http.request("DELETE", "api/events", params=query, json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, "not_confirmed")
    done = http.request("DELETE", "api/events", params={"all": "true"}, json={"confirm": "delete everything"})
    assert done.json()["deleted"] == 1
    assert http.get("api/events").json()["events"] == []
    assert not list(service.history.store.folder.glob("*/*.jpg"))


def test_a_miss_keeps_the_frame_of_now(start: StartService) -> None:
    service = start({"events.enabled": "true"})
    with service.client() as client:
        wait_until(lambda: service.state()["answer"]["label"] == "cat")
        answer = client.post("api/events", json={"label": "dog"})
        assert answer.status_code == 201
        event = answer.json()
        assert (event["kind"], event["label"], event["right"], event["picture"]) == ("missed", "cat", "dog", True)
        assert client.get(f"api/events/{event['id']}/snapshot.jpg").status_code == 200
        assert event["id"] in [one["id"] for one in client.get("api/events?review=wrong").json()["events"]]
        service.camera.stall.set()
        wait_until(lambda: service.state()["status"] == "stale")
        assert client.post("api/events", json={"label": "dog"}).json()["code"] == "no_frame"


def test_a_miss_while_events_are_off(http: httpx.Client) -> None:
    assert http.post("api/events", json={"label": "dog"}).json()["code"] == "events_off"


def test_storage_is_reported_with_what_lies_ahead(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row(bytes=40_000, kept=1), row(bytes=40_000))
    reported = http.get("api/events/storage").json()
    assert (reported["events"], reported["kept"], reported["bytes"]) == (2, 1, 85_000)
    assert (reported["lost"], reported["oldest"]) == (0, "2026-05-01T07:00:00.000Z")


def test_events_come_over_the_live_socket_to_who_asks(service: Service, http: httpx.Client) -> None:
    add(service.history.store, row())
    with connect(f"ws://127.0.0.1:{service.port}/api/live?events=true") as socket:
        assert json.loads(socket.recv(5))["type"] == "state"
        http.patch("api/events/1", json={"kept": True})
        deadline = time.monotonic() + 5.0
        while (message := json.loads(socket.recv(5)))["type"] != "event":
            assert time.monotonic() < deadline
        assert (message["what"], message["event"]["id"], message["event"]["kept"]) == ("changed", 1, True)

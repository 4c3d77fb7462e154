"""Settings and models while the service runs: checked whole, applied whole, kept, and reported."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from lookout.deadline import Deadline
from lookout.errors import CameraSilent
from lookout.registry import loader
from lookout.settings.keys import all_keys

from tests.api.conftest import TIMEOUT_S, HandCamera, StartService, wait_until


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def test_every_setting_is_listed_with_all_that_is_known_of_it(client: httpx.Client) -> None:
    reported = client.get("api/settings").json()
    assert set(reported["keys"]) == set(all_keys())
    assert reported["settings"]["model"]["name"] == "colours"
    assert reported["keys"]["model.name"]["source"] == "file"
    assert reported["keys"]["model.name"]["changeable"] is True
    assert reported["keys"]["answer.max_rate"]["source"] == "default"
    fixed = reported["keys"]["server.port"]
    assert fixed["changeable"] is False
    assert "server.port" in fixed["reason"]
    assert reported["keys"]["camera.fps"]["reason"].count("--camera.fps") == 1


def test_a_program_can_make_a_form_of_the_settings(client: httpx.Client) -> None:
    keys = client.get("api/settings").json()["keys"]
    assert keys["camera.rotate"]["form"] == "choice"
    assert keys["camera.rotate"]["choices"] == [0, 90, 180, 270]
    days = keys["events.days"]
    assert (days["form"], days["choices"], days["minimum"], days["maximum"]) == ("integer", [], 1, 36_500)
    forms = {name: keys[name]["form"] for name in ("answer.region", "answer.enter", "events.labels", "events.enabled")}
    assert forms == {
        "answer.region": "region",
        "answer.enter": "table",
        "events.labels": "list",
        "events.enabled": "boolean",
    }
    assert (keys["camera.source"]["form"], keys["camera.fps"]["form"]) == ("text", "number")


def test_what_takes_effect_at_the_next_start_is_reported_as_waiting_for_it(start: StartService) -> None:
    service = start()
    file = service.folder / "lookout.toml"
    as_it_was = file.read_text()
    with service.client() as client:
        file.write_text(f"{as_it_was}[answer]\nhold_s = 3\n[upload]\nmax_concurrent = 7\n")
        service.services.control.reload()
        reported = client.get("api/settings").json()
        assert reported["settings"]["answer"]["hold_s"] == 3.0
        assert reported["restart_required"] == ["upload.max_concurrent"]
        for _ in range(2):  # and a change made meanwhile brings none of it into force
            assert reported["settings"]["upload"]["max_concurrent"] == 2
            assert reported["keys"]["upload.max_concurrent"]["value"] == 2
            assert reported["keys"]["upload.max_concurrent"]["source"] == "default"
            reported = client.patch("api/settings", json={"answer": {"window_s": 1.0}}).json()
        file.write_text(as_it_was)
        service.services.control.reload()
        assert client.get("api/settings").json()["restart_required"] == []


def test_passwords_of_a_stream_are_not_shown(start: StartService) -> None:
    service = start({"camera.source": "rtsp://user:secret@127.0.0.1:1/x"})
    with service.client() as client:
        reported = client.get("api/settings")
        assert "secret" not in reported.text
        assert reported.json()["settings"]["camera"]["source"] == "rtsp://…@127.0.0.1:1/x"
        assert reported.json()["keys"]["camera.source"]["value"] == "rtsp://…@127.0.0.1:1/x"
        assert "secret" not in client.get("api/state").text


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("http://127.0.0.1:1/x.cgi?user=admin&pwd=secret", "http://127.0.0.1:1/x.cgi?user=***&pwd=***"),
        ("rtsp://user:sec/ret@127.0.0.1:1/x", "rtsp://…@127.0.0.1:1/x"),
        ("rtsp:/user:secret@127.0.0.1:1/x", "…@127.0.0.1:1/x"),
        ("http://127.0.0.1:1/@x", "http://…@x"),  # "127.0.0.1:1/" may be a user and a password with a bare slash
        ("RTSP://127.0.0.1:1/x", "rtsp://127.0.0.1:1/x"),
        ("folder:photos", "folder:photos"),
    ],
)
def test_no_form_of_password_in_an_address_is_reported(start: StartService, source: str, shown: str) -> None:
    service = start({"camera.source": source})
    with service.client() as client:
        assert client.get("api/settings").json()["settings"]["camera"]["source"] == shown


def test_a_patch_is_applied_reported_and_kept_over_a_restart(start: StartService) -> None:
    service = start()
    region = {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}
    with service.client() as client:
        answer = client.patch("api/settings", json={"answer": {"region": region, "max_rate": 5}}).json()
        assert answer["settings"]["answer"]["max_rate"] == 5
        assert answer["keys"]["answer.max_rate"]["source"] == "override"
        assert service.state()["region"]["asked"] == region
    service.stop()
    service.start()
    with service.client() as client:
        assert client.get("api/settings").json()["settings"]["answer"]["region"] == region
        client.patch("api/settings", json={"answer": {"region": None, "max_rate": None}})
        assert service.state()["region"]["asked"] == {"x": 0, "y": 0, "width": 1, "height": 1}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"answer": {"max_rate": -1}}, (422, "setting_invalid")),
        ({"answer": {"max_rate": "fast"}}, (422, "setting_invalid")),
        ({"answer": {"max_rte": 1}}, (422, "setting_invalid")),
        ({"nonsense": 1}, (422, "setting_invalid")),
        ({"answer": 3}, (422, "setting_invalid")),
        ({"answer": {"region": {"x": 0.9, "width": 0.5}}}, (422, "setting_invalid")),
        ({"camera": {"stale_after_s": 0.2, "flip": "both"}, "answer": {"max_rate": 1}}, (422, "setting_invalid")),
        ({"server": {"port": 1}}, (409, "setting_fixed")),
        ({"upload": {"max_bytes": 2000}}, (409, "setting_fixed")),
        ({"camera": {"fps": 5}}, (409, "setting_fixed")),
        ({"model": {"name": "nonesuch"}}, (404, "unknown_model")),
        ({"model": {"name": "misfit"}, "answer": {"max_rate": 3}}, (422, "model_rejected")),
        ({"model": {"precision": "fp64"}}, (404, "unknown_model")),
    ],
)
def test_a_bad_patch_changes_nothing_at_all(
    client: httpx.Client, patch: dict[str, Any], expected: tuple[int, str]
) -> None:
    before = client.get("api/settings").json()
    assert code(client.patch("api/settings", json=patch)) == expected
    assert client.get("api/settings").json() == before
    assert client.get("api/state").json()["status"] == "ok"


@pytest.mark.parametrize("body", [b"", b"[]", b"3", b"{", b'"text"', b"\xff\xfe", b"[" * 50_000])
def test_a_patch_of_another_form_is_refused(client: httpx.Client, body: bytes) -> None:
    response = client.patch("api/settings", content=body, headers={"Content-Type": "application/json"})
    assert code(response) == (422, "request_invalid")


def test_numbers_that_are_none_are_refused(client: httpx.Client) -> None:
    for number in (b"NaN", b"Infinity", b"1e999"):
        body = b'{"answer": {"window_s": ' + number + b"}}"
        response = client.patch("api/settings", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == 422, number


def test_a_body_without_end_is_cut_off(client: httpx.Client) -> None:
    response = client.patch("api/settings", content=b" " * 70_000, headers={"Content-Type": "application/json"})
    assert code(response) == (413, "request_too_large")
    assert code(client.put("api/paused", content=iter([b" " * 40_000] * 3))) == (413, "request_too_large")


def test_a_state_folder_that_cannot_be_written_keeps_the_old_settings(start: StartService) -> None:
    service = start()
    (service.folder / "overrides.toml").mkdir()
    with service.client() as client:
        response = client.patch("api/settings", json={"answer": {"max_rate": 5}})
        assert code(response) == (507, "state_folder_unusable")
        assert client.get("api/settings").json()["settings"]["answer"]["max_rate"] == 10


def test_a_spent_disk_budget_refuses_a_change_in_a_sentence_and_the_old_settings_stay(start: StartService) -> None:
    service = start({"state.max_bytes_per_day": str(2**16)})
    with service.client() as client:
        large = {"answer": {"max_rate": 5, "enter": {"a label with a long name" * 800: 0.5}}}
        responses = [client.patch("api/settings", json=large) for _ in range(4)]
        assert [response.status_code for response in responses] == [200, 200, 200, 507]
        response = responses[-1]
        assert code(response) == (507, "disk_budget_spent")
        assert "state.max_bytes_per_day (64 KiB)" in response.json()["detail"]
        assert response.json()["remedy"]
        assert code(client.patch("api/settings", json=large | {"answer": large["answer"] | {"max_rate": 7}}))[0] == 507
        assert client.get("api/settings").json()["settings"]["answer"]["max_rate"] == 5
        assert client.put("api/paused", json=True).status_code == 200, "an empty file wears nothing"


def test_a_pause_closes_the_camera_and_outlives_a_restart(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        assert client.put("api/paused", json=True).json() == {"paused": True}
        assert service.state()["status"] == "paused"
        assert service.camera._closed.is_set()
    service.stop()
    service.start()
    assert service.state()["status"] == "paused"
    with service.client() as client:
        assert client.put("api/paused", json=False).json() == {"paused": False}
    wait_until(lambda: service.state()["status"] == "ok")


@pytest.mark.parametrize("body", [b"", b"1", b'"true"', b"null", b"{}", b"yes"])
def test_a_pause_is_true_or_false(client: httpx.Client, body: bytes) -> None:
    response = client.put("api/paused", content=body, headers={"Content-Type": "application/json"})
    assert code(response) == (422, "request_invalid")


class HangingCamera(HandCamera):
    """Opens for ever, until it is closed."""

    inside = threading.Event()

    def open(self, deadline: Deadline) -> None:
        super().open(deadline)
        self.inside.set()
        self._closed.wait(TIMEOUT_S)
        raise CameraSilent("It was closed.", "Open it again.")


def test_a_pause_waits_for_no_change_that_waits_for_a_camera_that_hangs(start: StartService) -> None:
    camera = HangingCamera()
    service = start(camera=camera)
    assert camera.inside.wait(TIMEOUT_S)
    with service.client() as client, ThreadPoolExecutor() as pool:
        changes = [pool.submit(client.patch, "api/settings", json={"answer": {"hold_s": n}}) for n in range(1, 6)]
        wait_until(lambda: service.services.changes._pool._work_queue.qsize() > 0)  # all its threads are taken
        begun = time.monotonic()
        assert client.put("api/paused", json=True).status_code == 200
        assert time.monotonic() - begun < 3.0
        assert all(change.result().status_code == 200 for change in changes), "they were only waiting"


def test_a_moment_without_threads_costs_neither_a_pause_nor_the_room_for_later_ones(
    start: StartService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    service = start()
    with service.client() as client:
        assert client.get("api/state").status_code == 200
        with monkeypatch.context() as moment:
            moment.setattr(threading.Thread, "start", no_thread)
            for number in range(40):  # more than there is room for
                assert client.put("api/paused", json=number % 2 == 0).status_code == 200
                assert client.patch("api/settings", json={"answer": {"hold_s": number % 3 + 1}}).status_code == 200
        assert client.put("api/paused", json=True).status_code == 200
        assert service.state()["status"] == "paused"


# --- models --------------------------------------------------------------------------------------------------------


def test_all_usable_models_are_listed_and_the_others_named(client: httpx.Client) -> None:
    reported = client.get("api/models").json()
    names = [card["name"] for card in reported["models"]]
    assert {"colours", "others", "misfit"} <= set(names)
    assert "damaged" not in names
    assert [broken["name"] for broken in reported["broken"]] == ["caf?", "damaged"], "also where a name is not UTF-8"
    assert reported["broken"][0]["reason"]


def test_a_card_and_its_layers(client: httpx.Client) -> None:
    card = client.get("api/models/colours").json()
    assert [label["name"] for label in card["labels"]] == ["cat", "dog", "neither"]
    assert card["schema"] == 1
    assert client.get("api/models/colours/layers").json()["totals"] == {"parameters": 12, "multiply_adds": 9}


@pytest.mark.parametrize(
    "path",
    [
        "nonesuch",
        "nonesuch/layers",
        "colours/filters.png",
        "..",
        "%2e%2e",
        "stale-layers/layers",
        "odd-layers/layers",
        "%00",
    ],
)
def test_what_is_not_there_is_not_found(client: httpx.Client, path: str) -> None:
    response = client.get(f"api/models/{path}")
    assert response.status_code == 404


def test_the_picture_of_the_filters_is_served_where_there_is_one(client: httpx.Client) -> None:
    response = client.get("api/models/others/filters.png")
    assert response.headers["content-type"] == "image/png"
    assert response.content.startswith(b"\x89PNG")


def test_a_damaged_card_is_reported(client: httpx.Client) -> None:
    assert code(client.get("api/models/damaged")) == (422, "model_rejected")


def test_another_model_is_used_and_kept(start: StartService) -> None:
    service = start()
    with service.client() as client:
        answer = client.put("api/model", json={"name": "others", "precision": "fp32"}).json()
        assert (answer["name"], answer["precision"]) == ("others", "fp32")
        assert service.state()["model"]["name"] == "others"
        assert client.put("api/model", json={"precision": "int8"}).json()["precision"] == "int8"
        assert client.put("api/model", json={"name": "others"}).json()["precision"] == "int8"  # auto again
        assert client.get("api/settings").json()["settings"]["model"]["precision"] == "auto"
    service.stop()
    service.start()
    assert service.state()["model"]["name"] == "others"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"name": "nonesuch"}, (404, "unknown_model")),
        ({"name": "misfit"}, (422, "model_rejected")),
        ({"name": "text"}, (422, "model_rejected")),
        ({"name": "damaged"}, (422, "model_rejected")),
        ({"name": "../colours"}, (422, "setting_invalid")),
        ({"precision": "fp64"}, (404, "unknown_model")),
        ({}, (422, "request_invalid")),
        ({"name": 3}, (422, "request_invalid")),
        ({"name": "colours", "threads": 1}, (422, "request_invalid")),
    ],
)
def test_a_bad_model_changes_nothing(client: httpx.Client, choice: dict[str, Any], expected: tuple[int, str]) -> None:
    assert code(client.put("api/model", json=choice)) == expected
    state = client.get("api/state").json()
    assert (state["model"]["name"], state["status"]) == ("colours", "ok")


def test_a_model_named_by_a_flag_stays(start: StartService) -> None:
    service = start({"model.name": "others"})
    with service.client() as client:
        response = client.put("api/model", json={"name": "colours"})
    assert code(response) == (409, "setting_fixed")
    assert "--model.name" in response.json()["detail"]


def test_one_swap_at_a_time(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start()
    loads, go, original = threading.Event(), threading.Event(), loader.load

    def slow(*args: Any, **more: Any) -> Any:
        loads.set()
        assert go.wait(10)
        return original(*args, **more)

    monkeypatch.setattr(loader, "load", slow)

    def swap(name: str) -> httpx.Response:
        with service.client() as client:
            return client.put("api/model", json={"name": name})

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(swap, "others")
        assert loads.wait(10)
        assert code(swap("colours")) == (409, "model_busy")
        go.set()
        assert first.result().json()["name"] == "others"


def test_pages_and_health_answer_while_a_model_loads(start: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start()
    go, original = threading.Event(), loader.load

    def slow(*args: Any, **more: Any) -> Any:
        assert go.wait(10)
        return original(*args, **more)

    monkeypatch.setattr(loader, "load", slow)
    with ThreadPoolExecutor(1) as pool, service.client() as client:
        swap = pool.submit(lambda: httpx.put(f"{service.url}api/model", json={"name": "others"}, timeout=15))
        for path in ("", "healthz", "api/state", "static/main.js", "api/models", "api/about"):
            assert client.get(path).status_code == 200, path
        go.set()
        assert swap.result().status_code == 200


def test_a_folder_dropped_in_is_found_at_once(start: StartService, tmp_path: Path) -> None:
    from tests.models import write_explaining_model

    folder = tmp_path / "mine"
    folder.mkdir()
    write_explaining_model(folder, "colours")
    service = start({"model.folder": str(folder)})
    write_explaining_model(folder, "newcomer")
    with service.client() as client:
        assert client.put("api/model", json={"name": "newcomer"}).status_code == 200

"""The feature maps of the frame on show: true to it, never of another time, and cheap however many look."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from datetime import datetime

import cv2
import httpx
import numpy as np
import pytest
from lookout.api.feature_map_requests import MAX_WAITING, SHARED_S, FeatureMapRequests, FeatureMapResult
from lookout.errors import ModelRejected, TooBusy
from lookout.geometry import WHOLE
from lookout.inspection.feature_maps import MapLayer
from lookout.inspection.map_network_cache import KEPT_S, MapNetworkCache
from numpy.typing import NDArray

from tests.api.conftest import RED, HandCamera, Service, StartService, wait_until
from tests.models import SMALL_SIDE as SIDE

RELU = {"name": "relu", "operator": "Relu", "channels": 3, "height": SIDE, "width": SIDE}
POOL = {"name": "pool", "operator": "AveragePool", "channels": 3, "height": 2, "width": 2}


def drawn(png: bytes) -> NDArray[np.uint8]:
    pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


def from_uri(uri: str) -> NDArray[np.uint8]:
    head, _, data = uri.partition(",")
    assert head == "data:image/png;base64"
    return drawn(base64.b64decode(data))


# --- what is reported ----------------------------------------------------------------------------------------------


def test_the_first_layer_of_a_red_picture_is_bright_in_its_red_channel(client: httpx.Client) -> None:
    response = client.get("api/feature-maps")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    reported = response.json()
    assert reported["layers"] == [RELU, POOL]
    assert reported["layer"] == RELU
    assert reported["model"] == {"name": "colours", "version": "1", "precision": "int8"}
    assert [one["channel"] for one in reported["channels"]] == [0, 1, 2]
    assert reported["channels"][0]["mean"] == pytest.approx(255, abs=2)
    assert reported["channels"][1]["mean"] < 2
    tiles = from_uri(reported["png"])
    assert (reported["columns"], reported["width"], reported["height"], reported["zero"]) == (2, SIDE, SIDE, 0)
    assert tiles.shape == (2 * SIDE, 2 * SIDE)
    assert tiles[SIDE // 2, SIDE // 2] == 255


def test_it_says_of_which_frame_and_how_old_it_is(shared: Service, client: httpx.Client) -> None:
    reported = client.get("api/feature-maps").json()
    assert 0 <= reported["age_ms"] < 3000
    assert abs(datetime.fromisoformat(reported["captured_at"]).timestamp() - time.time()) < 3
    frame = shared.hub.latest().frame
    assert frame is not None
    assert frame.sequence - 60 < reported["frame_id"] <= frame.sequence
    given = drawn(base64.b64decode(reported["input"].removeprefix("data:image/jpeg;base64,")))
    assert given.shape == (SIDE, SIDE, 3)
    assert np.abs(given[SIDE // 2, SIDE // 2].astype(int) - RED).max() < 6
    assert reported["seen"] == {"x": 0.125, "y": 0.0, "width": 0.75, "height": 1.0}


def test_another_layer_and_fewer_channels(client: httpx.Client) -> None:
    reported = client.get("api/feature-maps", params={"layer": "pool", "channels": 1}).json()
    assert reported["layer"] == POOL
    assert [one["channel"] for one in reported["channels"]] == [0]
    assert from_uri(reported["png"]).shape == (2, 2)


def test_the_picture_for_people_is_a_contact_sheet(client: httpx.Client) -> None:
    response = client.get("api/feature-maps.png", params={"layer": "pool"})
    assert response.headers["content-type"] == "image/png"
    assert response.headers["cache-control"] == "no-store"
    assert abs(time.time() - float(response.headers["x-timestamp"])) < 3
    sheet = drawn(response.content)
    assert sheet.shape == (2 * 98 + 2, 2 * 98 + 2)
    assert sheet[50, 50] == 255


# --- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["api/feature-maps", "api/feature-maps.png"])
@pytest.mark.parametrize("query", ["layer=conv9", "channels=0", "channels=257", "channels=x", f"layer={'a' * 201}"])
def test_what_cannot_be_shown_is_refused_in_a_sentence(client: httpx.Client, path: str, query: str) -> None:
    response = client.get(f"{path}?{query}")
    assert (response.status_code, response.json()["code"]) == (422, "request_invalid")


def test_a_model_without_a_table_of_its_layers_has_no_maps(start: StartService) -> None:
    service = start({"model.name": "stale-layers"})
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        response = client.get("api/feature-maps")
    assert (response.status_code, response.json()["code"]) == (404, "unknown_model")


def test_a_frame_of_before_is_never_passed_off_as_now(start: StartService) -> None:
    service = start({"camera.stale_after_s": "0.5"})
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        assert client.get("api/feature-maps").status_code == 200
        service.camera.stall.set()
        wait_until(lambda: service.state()["status"] == "stale")
        for path in ("api/feature-maps", "api/feature-maps.png"):
            response = client.get(path)
            assert (response.status_code, response.json()["code"]) == (503, "no_frame")
            assert response.json()["detail"].startswith("No new picture for")
            assert "retry-after" in response.headers


def test_a_paused_camera_shows_nothing_to_anybody(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        client.get("api/feature-maps")
        client.put("api/paused", json=True)
        response = client.get("api/feature-maps")
    assert (response.status_code, response.json()["code"]) == (503, "no_frame")
    assert response.json()["detail"] == "The camera is paused."


def test_without_a_camera_its_reason_is_reported_and_nothing_is_loaded(start: StartService) -> None:
    camera = HandCamera()
    camera.absent.set()
    service = start(camera=camera)
    wait_until(lambda: service.state()["status"] == "absent")
    with service.client() as client:
        response = client.get("api/feature-maps")
    assert response.json()["detail"] == "There is no camera here."
    assert not service.engine.model.map_networks.loaded


# --- what it costs -------------------------------------------------------------------------------------------------


def test_the_second_network_goes_when_nobody_has_looked_for_a_minute(shared: Service) -> None:
    map_network_cache, classifier = MapNetworkCache(), shared.engine.classifier
    assert classifier is not None
    first = map_network_cache.network(classifier, 1000.0)
    map_network_cache.rest(1000.0 + KEPT_S - 1)
    assert map_network_cache.network(classifier, 1000.0 + KEPT_S - 1) is first
    map_network_cache.rest(1000.0 + 2 * KEPT_S - 2)
    assert map_network_cache.loaded
    map_network_cache.rest(1000.0 + 2 * KEPT_S)
    assert not map_network_cache.loaded


def test_another_model_is_looked_into_once_it_is_in_use(start: StartService) -> None:
    service = start()
    wait_until(lambda: service.state()["status"] == "ok")
    with service.client() as client:
        assert client.get("api/feature-maps").json()["model"]["name"] == "colours"
        assert client.put("api/model", json={"name": "others"}).status_code == 200
        wait_until(lambda: service.state()["status"] == "ok")
        assert client.get("api/feature-maps").json()["model"]["name"] == "others"


def look_at(captured_at: float) -> FeatureMapResult:
    layer = MapLayer("a", "Relu", "a", 1, 1, 1)
    return FeatureMapResult((layer,), layer, "m", "1", "int8", 1, captured_at, WHOLE, b"", (), 1, 1, 1, 0, b"")


async def test_who_asks_for_the_same_at_the_same_time_shares_one_look() -> None:
    looks, made = FeatureMapRequests(), []

    def look() -> FeatureMapResult:
        made.append(1)
        return look_at(10.0)

    try:
        one, other = await asyncio.gather(looks.shared("a", look, 10.0), looks.shared("a", look, 10.1))
        assert one is other
        assert await looks.shared("a", look, 10.0 + SHARED_S / 2) is one
        assert len(made) == 1
        assert await looks.shared("a", look, 10.0 + SHARED_S) is not one
        await looks.shared("b", look, 10.0)
        assert len(made) == 3
    finally:
        looks.close()


async def test_a_look_that_failed_is_not_kept() -> None:
    looks = FeatureMapRequests()

    def fail() -> FeatureMapResult:
        raise ModelRejected("No model is loaded.")

    try:
        with pytest.raises(ModelRejected):
            await looks.shared("a", fail, 1.0)
        assert (await looks.shared("a", lambda: look_at(1.0), 1.0)).frame_id == 1
    finally:
        looks.close()


async def test_too_many_different_requests_for_maps_are_refused_with_a_reason() -> None:
    looks, go = FeatureMapRequests(), threading.Event()

    def wait() -> FeatureMapResult:
        go.wait(10.0)
        return look_at(1.0)

    waiting = [asyncio.ensure_future(looks.shared(number, wait, 1.0)) for number in range(MAX_WAITING)]
    try:
        await asyncio.sleep(0)
        with pytest.raises(TooBusy):
            await looks.shared("more", wait, 1.0)
        same = asyncio.ensure_future(looks.shared(0, wait, 1.0))  # no further work
        go.set()
        await asyncio.gather(same, *waiting)
    finally:
        go.set()
        looks.close()

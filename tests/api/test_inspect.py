"""A picture handed in and looked into: maps, one map in numbers, the way to the answer; one filter of a model."""

from __future__ import annotations

import base64

import cv2
import httpx
import numpy as np
import pytest

from tests.api.conftest import GREEN, RED, plain
from tests.api.pictures_made import encoded
from tests.models import SMALL_SIDE as SIDE

PNG = {"Content-Type": "image/png"}


def ask(client: httpx.Client, what: str, color: tuple[int, int, int] = RED, **query: object) -> httpx.Response:
    return client.post(f"api/inspect/{what}", content=encoded(plain(color), ".png"), headers=PNG, params=query)


def from_uri(uri: str) -> np.ndarray:
    data = base64.b64decode(uri.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def test_the_maps_of_a_picture_are_of_it_and_not_of_the_camera(client: httpx.Client) -> None:
    found = ask(client, "maps", GREEN).json()
    assert [one["name"] for one in found["layers"]] == ["relu", "pool"]
    assert [one["mean"] for one in found["channels"]] == pytest.approx([0, 255, 0], abs=2)
    assert from_uri(found["input"]).shape == (SIDE, SIDE, 3)
    assert from_uri(found["png"]).shape == (2 * SIDE, 2 * SIDE)
    assert found["seen"] == {"x": 0.125, "y": 0.0, "width": 0.75, "height": 1.0}


def test_a_channel_is_there_number_by_number(client: httpx.Client) -> None:
    found = ask(client, "channel", layer="relu", channel=0).json()
    assert np.asarray(found["after"]) == pytest.approx(np.full((SIDE, SIDE), 255), abs=2)
    assert ask(client, "channel", layer="pool", channel=2).json()["after"] == [[0, 0], [0, 0]]
    refused = ask(client, "channel", layer="relu", channel=3)
    assert (refused.status_code, refused.json()["code"]) == (422, "request_invalid")
    assert "0 to 2" in refused.json()["remedy"]


def test_the_answer_is_softmax_of_its_logits(client: httpx.Client) -> None:
    found = ask(client, "answer").json()
    powers = np.exp(np.array(found["values"]) / found["temperature"])
    assert powers / powers.sum() == pytest.approx(found["probabilities"], abs=1e-4)
    assert [one["label"] for one in found["labels"]] == ["cat", "dog", "neither"]
    assert found["probabilities"][0] > 0.9
    assert found["heat"] is None


def test_what_speaks_for_a_label_is_the_networks_own_map(client: httpx.Client) -> None:
    found = ask(client, "answer", label=0).json()["heat"]
    assert (found["label"], found["method"]) == ("cat", "activation")
    assert np.array(found["cells"]).shape == (2, 2)
    assert np.min(found["cells"]) > np.max(ask(client, "answer", label=1).json()["heat"]["cells"])
    assert ask(client, "answer", label=3).json()["code"] == "request_invalid"


def test_the_time_of_each_layer_is_measured_here(client: httpx.Client) -> None:
    found = ask(client, "times").json()
    assert found["model"]["precision"] in ("fp32", "int8")
    assert found["runs"] >= 5
    assert found["layers"] == {}, "the nodes of this graph have no names"
    assert found["between"] > 0


@pytest.mark.parametrize("what", ["maps", "channel", "answer", "times"])
def test_what_is_not_a_picture_is_refused_and_the_next_is_looked_into(client: httpx.Client, what: str) -> None:
    refused = client.post(f"api/inspect/{what}", content=b"no picture", headers=PNG)
    assert refused.status_code == 415
    assert ask(client, what).status_code == 200


def test_one_filter_of_a_network_in_numbers(client: httpx.Client) -> None:
    found = client.get("api/models/colours/filters/1").json()
    assert found == {"filter": 1, "count": 2, "weights": [[[1, 0, -1]]]}
    assert client.get("api/models/colours/filters/2").json()["code"] == "request_invalid"
    assert client.get("api/models/others/filters/0").status_code == 404
    assert client.get("api/models/nothing/filters/0").status_code == 404

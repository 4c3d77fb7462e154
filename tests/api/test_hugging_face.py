"""Hugging Face's own client, as it is, against /hf and /models."""

from __future__ import annotations

import base64

import httpx
import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from tests.api.conftest import GREEN, RED, Service, plain
from tests.api.pictures_made import encoded


@pytest.fixture(autouse=True)
def _never_online(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")


@pytest.mark.parametrize("path", ["hf", "models/colours"])
def test_its_client_is_answered_best_first(shared: Service, client: httpx.Client, path: str) -> None:
    calibrated = client.post("api/classify", content=encoded(plain(GREEN), ".jpg")).json()["probabilities"]
    asked = InferenceClient(model=f"{shared.url}{path}", timeout=20)
    answer = asked.image_classification(encoded(plain(GREEN), ".jpg"))
    assert answer[0].label == "dog"
    assert [one.score for one in answer] == sorted((one.score for one in answer), reverse=True)
    assert {one.label: round(one.score, 4) for one in answer} == calibrated
    # With parameters it sends JSON with the picture as base64.
    (best,) = asked.image_classification(encoded(plain(RED), ".png"), top_k=1, function_to_apply="softmax")
    assert best.label == "cat"


def test_its_client_gets_what_is_wrong(shared: Service) -> None:
    for path, words in (("models/nothing", "no model"), ("models/others", "not loaded")):
        with pytest.raises(HfHubHTTPError, match=words):
            InferenceClient(model=f"{shared.url}{path}").image_classification(b"x")
    with pytest.raises(HfHubHTTPError, match="not a picture"):
        InferenceClient(model=f"{shared.url}hf").image_classification(b"no picture at all, but text")
    with pytest.raises(HfHubHTTPError, match="no other function"):
        InferenceClient(model=f"{shared.url}hf").image_classification(b"x", function_to_apply="sigmoid")


def test_its_client_shows_a_token(shared: Service) -> None:
    _, text = shared.tokens.create("notebook", "view")
    picture = encoded(plain(RED), ".jpg")
    try:
        with pytest.raises(HfHubHTTPError, match="401"):
            InferenceClient(model=f"{shared.url}hf").image_classification(picture)
        assert InferenceClient(model=f"{shared.url}hf", token=text).image_classification(picture)[0].label == "cat"
    finally:
        for token in shared.tokens.tokens():
            shared.tokens.revoke(token.id)


def test_base64_with_and_without_the_head_of_a_data_address(client: httpx.Client) -> None:
    text = base64.b64encode(encoded(plain(RED), ".jpg")).decode()
    for inputs in (text, f"data:image/jpeg;base64,{text}"):
        assert client.post("hf", json={"inputs": inputs}).json()[0]["label"] == "cat"


@pytest.mark.parametrize(
    "body",
    [
        {"inputs": "https://example.org/cat.jpg"},
        {"inputs": "%%%"},
        {"inputs": 7},
        {"inputs": "", "parameters": 7},
        {"inputs": "", "parameters": {"top_k": 0}},
        {"inputs": "", "parameters": {"top_k": True}},
        {},
        [],
    ],
)
def test_what_is_not_understood_is_refused_in_words(client: httpx.Client, body: object) -> None:
    response = client.post("hf", json=body)
    assert response.status_code in (400, 415)
    assert list(response.json()) == ["error"]

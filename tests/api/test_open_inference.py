"""The Open Inference Protocol, by its clients as they are, and by hand where those are too well-behaved."""

from __future__ import annotations

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort
import pytest
import tritonclient.http as triton
from numpy.typing import NDArray
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.types import InferenceRequest
from tritonclient.utils import InferenceServerException

from tests.api.conftest import Service, StartService

OUTPUTS = ["logits", "embedding", "activation_map"]
SHAPE = [1, 32, 32, 3]
Direct = dict[str, NDArray[Any]]


@pytest.fixture(scope="module")
def tensor() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, SHAPE, np.uint8)


@pytest.fixture(scope="module")
def direct(tensor: NDArray[np.uint8], models: Path) -> Direct:
    """What onnxruntime says of it, asked directly."""
    session = ort.InferenceSession(str(models / "colours" / "fp32.onnx"), providers=["CPUExecutionProvider"])
    return dict(zip(OUTPUTS, session.run(OUTPUTS, {"pixels": tensor}), strict=True))


@pytest.fixture
def triton_client(shared: Service) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(f"127.0.0.1:{shared.port}", network_timeout=20, connection_timeout=20) as client:
        yield client


def same(array: object, expected: NDArray[Any]) -> bool:
    """To the last bit."""
    return np.asarray(array, expected.dtype).tobytes() == expected.tobytes()


def in_json(tensor: NDArray[np.uint8], **more: object) -> dict[str, Any]:
    given = {"name": "pixels", "shape": SHAPE, "datatype": "UINT8", "data": tensor.ravel().tolist()}
    return {"inputs": [given], **more}


# --- Triton's client ------------------------------------------------------------------------------------------------


def test_triton_finds_out_what_there_is(triton_client: triton.InferenceServerClient) -> None:
    assert triton_client.is_server_live()
    assert triton_client.is_server_ready()
    assert triton_client.is_model_ready("colours")
    assert triton_client.is_model_ready("colours", "1")
    assert not triton_client.is_model_ready("colours", "2")
    assert not triton_client.is_model_ready("nothing")
    assert triton_client.get_server_metadata()["name"] == "lookout"
    metadata = triton_client.get_model_metadata("colours")
    assert metadata["inputs"] == [{"name": "pixels", "datatype": "UINT8", "shape": SHAPE}]
    assert [output["name"] for output in metadata["outputs"]] == OUTPUTS
    config = triton_client.get_model_config("colours", "1")
    assert config["input"] == [{"name": "pixels", "data_type": "TYPE_UINT8", "dims": SHAPE}]
    index = {entry["name"]: entry for entry in triton_client.get_model_repository_index()}
    assert index["colours"]["state"] == "READY"
    assert {entry["state"] for name, entry in index.items() if name != "colours"} == {"UNAVAILABLE"}


@pytest.mark.parametrize("packed", [None, "gzip", "deflate"])
@pytest.mark.parametrize("binary", [True, False])
def test_triton_is_answered_to_the_last_bit(
    triton_client: triton.InferenceServerClient,
    tensor: NDArray[np.uint8],
    direct: Direct,
    binary: bool,
    packed: str | None,
) -> None:
    given = triton.InferInput("pixels", SHAPE, "UINT8")
    given.set_data_from_numpy(tensor, binary_data=binary)
    asked = [triton.InferRequestedOutput(name, binary_data=binary) for name in OUTPUTS]
    for outputs in (asked, asked[:1], None):
        result = triton_client.infer(
            "colours",
            [given],
            "1",
            outputs,
            "seven",
            request_compression_algorithm=packed,
            response_compression_algorithm=packed,
        )
        assert result.get_response()["id"] == "seven"
        for name in OUTPUTS if outputs is None else [output.name() for output in outputs]:
            assert same(result.as_numpy(name), direct[name]), name


def test_triton_classifies(
    triton_client: triton.InferenceServerClient, tensor: NDArray[np.uint8], direct: Direct
) -> None:
    given = triton.InferInput("pixels", SHAPE, "UINT8")
    given.set_data_from_numpy(tensor)
    for binary in (True, False):
        asked = [triton.InferRequestedOutput("logits", binary_data=binary, class_count=2)]
        texts = [text if isinstance(text, str) else text.decode() for text in _texts(triton_client, given, asked)]
        order = np.argsort(-direct["logits"][0])[:2]
        labels = ["cat", "dog", "neither"]
        assert texts == [f"{direct['logits'][0][at]:f}:{at}:{labels[at]}" for at in order]


def _texts(client: triton.InferenceServerClient, given: object, asked: list[Any]) -> list[Any]:
    return list(client.infer("colours", [given], outputs=asked).as_numpy("logits"))


def test_triton_gets_what_is_wrong(triton_client: triton.InferenceServerClient) -> None:
    wrong = triton.InferInput("pixels", [2, 32, 32, 3], "UINT8")
    wrong.set_data_from_numpy(np.zeros([2, 32, 32, 3], np.uint8))
    with pytest.raises(InferenceServerException, match="one picture at a time"):
        triton_client.infer("colours", [wrong])
    given = triton.InferInput("pixels", SHAPE, "UINT8")
    given.set_data_from_numpy(np.zeros(SHAPE, np.uint8))
    with pytest.raises(InferenceServerException, match='no output "scores"'):
        triton_client.infer("colours", [given], outputs=[triton.InferRequestedOutput("scores")])
    with pytest.raises(InferenceServerException, match="cannot be unloaded"):
        triton_client.unload_model("colours")
    with pytest.raises(InferenceServerException, match="There is no model"):
        triton_client.load_model("nothing")


def test_triton_counts(start: StartService, tensor: NDArray[np.uint8]) -> None:
    service = start()
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}") as client:
        given = triton.InferInput("pixels", SHAPE, "UINT8")
        given.set_data_from_numpy(tensor)
        for _ in range(3):
            client.infer("colours", [given])
        (stats,) = client.get_inference_statistics("colours")["model_stats"]
        assert stats["inference_count"] == stats["inference_stats"]["success"]["count"] == 3
        assert 0 < stats["inference_stats"]["compute_infer"]["ns"] <= stats["inference_stats"]["success"]["ns"]
        assert abs(stats["last_inference"] - time.time() * 1000) < 60_000
        assert client.get_inference_statistics()["model_stats"] == [stats]


def test_triton_loads_another_model_only_as_an_admin(start: StartService) -> None:
    service = start()
    headers = {
        scope: {"Authorization": f"Bearer {service.tokens.create(scope, scope)[1]}"} for scope in ("view", "admin")
    }
    with triton.InferenceServerClient(f"127.0.0.1:{service.port}", network_timeout=60) as client:
        names = [entry["name"] for entry in client.get_model_repository_index(headers=headers["view"])]
        assert "others" in names, names
        with pytest.raises(InferenceServerException, match=r"needs .admin."):
            client.load_model("others", headers=headers["view"])
        client.load_model("others", headers=headers["admin"])
        assert client.is_model_ready("others", headers=headers["view"])
        assert not client.is_model_ready("colours", headers=headers["view"])
        client.unload_model("colours", headers=headers["admin"])  # it is not loaded any more
        assert client.is_server_live()  # as probes ask, without a token
        assert client.is_server_ready()


# --- other clients --------------------------------------------------------------------------------------------------


def test_the_protocols_own_client(shared: Service, tensor: NDArray[np.uint8], direct: Direct) -> None:
    with httpx.Client(timeout=20) as transport:
        client = OpenInferenceClient(base_url=shared.url.rstrip("/"), httpx_client=transport)
        client.check_server_liveness()
        client.check_server_readiness()
        client.check_model_readiness("colours")
        assert client.read_server_metadata().name == "lookout"
        assert client.read_model_metadata("colours").versions == ["1"]
        answer = client.model_infer("colours", request=InferenceRequest(**in_json(tensor)))
    assert {output.name for output in answer.outputs} == set(OUTPUTS)
    for output in answer.outputs:
        assert same(json.loads(output.data.json()), direct[output.name].ravel())


def test_kserve_sends_bytes_and_reads_json(client: httpx.Client, tensor: NDArray[np.uint8], direct: Direct) -> None:
    """As its SDK 0.21 does: bytes in, no outputs named, `"parameters": {"binary_data_output": false}`."""
    given = {
        "name": "pixels",
        "shape": SHAPE,
        "datatype": "UINT8",
        "parameters": {"binary_data_size": tensor.nbytes},
    }
    text = json.dumps({"id": "a", "inputs": [given], "parameters": {"binary_data_output": False}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(text)), "Content-Type": "application/octet-stream"}
    response = client.post("v2/models/colours/infer", content=text + tensor.tobytes(), headers=headers)
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("a", "colours", "1")
    for output in answer["outputs"]:
        assert same(output["data"], direct[output["name"]].ravel())


def test_nested_lists_are_taken_too(client: httpx.Client, tensor: NDArray[np.uint8], direct: Direct) -> None:
    body = in_json(tensor, outputs=[{"name": "logits"}])
    body["inputs"][0]["data"] = tensor.tolist()
    answer = client.post("v2/models/colours/infer", json=body).json()
    assert same(answer["outputs"][0]["data"], direct["logits"].ravel())


# --- by hand --------------------------------------------------------------------------------------------------------


def refused(client: httpx.Client, content: bytes, **headers: str) -> str:
    """The sentence with which the body is refused."""
    response = client.post("v2/models/colours/infer", content=content, headers=headers)
    assert 400 <= response.status_code < 500, response.text
    assert response.headers["content-type"] == "application/json"
    answer = response.json()
    assert list(answer) == ["error"]
    return str(answer["error"])


def test_what_is_not_a_request_is_refused_in_words(client: httpx.Client, tensor: NDArray[np.uint8]) -> None:
    for content in (b"", b"{", b"[]", b"\xff", b"[" * 60_000, b'{"inputs": [NaN]}', json.dumps("x").encode("utf-16")):
        assert refused(client, content).startswith("The body is not"), content[:20]
    good = in_json(tensor)
    for change, words in (
        ({"name": "image"}, "one input"),
        ({"datatype": "FP32"}, "is UINT8"),
        ({"shape": [1.0, 32, 32, 3]}, "has the shape"),
        ({"shape": [True, 32, 32, 3]}, "has the shape"),
        ({"data": [0]}, "1 values"),
        ({"data": [0.5] * 3072}, "whole number"),
        ({"data": [True] * 3072}, "whole number"),
        ({"data": [256] * 3072}, "whole number"),
        ({"data": [[1], 2]}, "nested alike"),
        ({"data": "x"}, "not a list"),
        ({"parameters": {"shared_memory_region": "x"}}, "Shared memory"),
        ({"parameters": {"binary_data_size": 0}}, "only one of them"),
        ({"parameters": []}, "not an object"),
    ):
        body = {**good, "inputs": [{**good["inputs"][0], **change}]}
        assert words in refused(client, json.dumps(body).encode()), change
    for more, words in (
        ({"outputs": [{"name": "logits"}] * 2}, "requested twice"),
        ({"outputs": [{"name": "logits", "parameters": {"classification": -1}}]}, "is not valid"),
        ({"outputs": "all"}, "not a list"),
        ({"id": 7}, "not text"),
    ):
        assert words in refused(client, json.dumps({**good, **more}).encode()), more
    assert "length of the JSON" in refused(client, b"{}", **{"Inference-Header-Content-Length": "-1"})
    assert "bytes after the JSON" in refused(
        client, json.dumps(good).encode() + b"x", **{"Inference-Header-Content-Length": str(len(json.dumps(good)))}
    )


def test_every_refusal_on_its_paths_has_the_one_form(client: httpx.Client) -> None:
    for method, path, status in (
        ("GET", "v2/models/nothing", 404),
        ("GET", "v2/models/colours/versions/9", 404),
        ("GET", "v2/nothing", 404),
        ("DELETE", "v2", 405),
        ("POST", "models/nothing", 404),
        ("POST", "hf", 415),
    ):
        response = client.request(method, path)
        assert (response.status_code, list(response.json())) == (status, ["error"]), path
    head = client.head("v2/models/nothing")
    assert (head.status_code, head.content) == (404, b"")
    assert client.get("api/nothing").json()["code"] == "not_found"  # everywhere else they are problems


def test_a_body_is_measured_before_it_is_read_and_while_it_is_unpacked(client: httpx.Client) -> None:
    too_long = 3_072 * 48 + 64 * 1024 + 1
    assert "more than" in refused(client, b" " * too_long)
    bomb = gzip.compress(b"\0" * 200_000_000)
    began = time.monotonic()
    assert "more than" in refused(client, bomb, **{"Content-Encoding": "gzip"})
    assert "more than" in refused(client, zlib.compress(b" " * 2**24), **{"Content-Encoding": "deflate"})
    assert time.monotonic() - began < 10
    assert "ends too early" in refused(client, gzip.compress(b"{}" * 999)[:-9], **{"Content-Encoding": "gzip"})
    assert "is not gzip" in refused(client, b"{}", **{"Content-Encoding": "gzip"})
    assert "not supported" in refused(client, b"{}", **{"Content-Encoding": "br"})


def test_switched_off_there_is_nothing(start: StartService) -> None:
    service = start({"server.inference": "false"})
    with service.client() as client:
        for path in ("v2", "v2/health/live", "v2/models/colours"):
            assert client.get(path).json()["code"] == "not_found"
        assert client.post("hf").status_code == 404

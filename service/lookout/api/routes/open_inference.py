"""The Open Inference Protocol (/v2): the raw outputs of the network in use, for Triton's and KServe's clients.

https://github.com/kserve/open-inference-protocol, with Triton's extensions for binary tensors, classification,
repository and statistics. Its clients read errors as {"error": "…"}: `middleware/plain_errors.py` writes them so.
"""

from __future__ import annotations

import functools
import gzip
import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from lookout import __version__
from lookout.api.compression import MIN_BYTES, takes_gzip
from lookout.api.context import Services, ServicesDep
from lookout.api.inference.bodies import Output, largest, read_infer, read_object, unpacked, write_infer
from lookout.api.inference.tensors import InferenceInvalid, datatype_of_onnx
from lookout.api.problems import writable
from lookout.api.uploads import read_body
from lookout.errors import LookoutError, ModelRejected, UnknownModel
from lookout.pipeline.card import Card

router = APIRouter(include_in_schema=False)

_EXTENSIONS = ["binary_tensor_data", "classification", "model_repository", "statistics"]
_PLATFORM = "onnxruntime_onnx"
_JSON_LENGTH = "Inference-Header-Content-Length"


class NoModel(LookoutError):
    """No model is running; the protocol reports that with the status 400."""

    code = "no_model"
    title = "No model runs"
    status = 400


@router.get("/v2")
async def server() -> Response:
    """The server's name, version and extensions."""
    return JSONResponse({"name": "lookout", "version": __version__, "extensions": _EXTENSIONS})


@router.get("/v2/health/live")
async def live() -> Response:
    """200 while the service runs. Needs no token."""
    return JSONResponse({"live": True})


@router.get("/v2/health/ready")
async def ready(app: ServicesDep) -> Response:
    """200 while a model answers. Needs no token."""
    if app.engine.model.classifier is None:
        raise NoModel("No model runs.", "GET /api/state says why.")
    return JSONResponse({"ready": True})


@router.get("/v2/models/stats")
async def all_stats(app: ServicesDep) -> Response:
    """The statistics of the model in use."""
    card = app.engine.model.loaded().card
    return JSONResponse({"model_stats": [app.inferences.as_json(card.name, card.version)]})


@router.get("/v2/models/{name}")
@router.get("/v2/models/{name}/versions/{version}")
async def metadata(name: str, app: ServicesDep, version: str | None = None) -> Response:
    """The names, types and shapes of the model's input and outputs."""
    card = _card(app, name, version)
    return JSONResponse(
        {
            "name": card.name,
            "versions": [card.version],
            "platform": _PLATFORM,
            "inputs": [{"name": card.input.name, "datatype": _input_type(card), "shape": list(card.input.shape)}],
            "outputs": [
                {"name": one.name, "datatype": datatype_of_onnx(one.type), "shape": list(one.shape)}
                for one in app.engine.model.loaded(name).graph_outputs
            ],
        }
    )


@router.get("/v2/models/{name}/ready")
@router.get("/v2/models/{name}/versions/{version}/ready")
async def model_ready(name: str, app: ServicesDep, version: str | None = None) -> Response:
    """200 for the model in use, an error for any other."""
    card = _card(app, name, version)
    return JSONResponse({"name": card.name, "ready": True})


@router.get("/v2/models/{name}/config")
@router.get("/v2/models/{name}/versions/{version}/config")
async def config(name: str, app: ServicesDep, version: str | None = None) -> Response:
    """The metadata in the form of Triton's model configuration."""
    card = _card(app, name, version)
    given = {"name": card.input.name, "data_type": f"TYPE_{_input_type(card)}", "dims": list(card.input.shape)}
    outputs = [
        {"name": one.name, "data_type": f"TYPE_{datatype_of_onnx(one.type)}", "dims": list(one.shape)}
        for one in app.engine.model.loaded(name).graph_outputs
    ]
    about = {"name": card.name, "platform": _PLATFORM, "backend": "onnxruntime", "max_batch_size": 0}
    return JSONResponse({**about, "input": [given], "output": outputs})


@router.get("/v2/models/{name}/stats")
@router.get("/v2/models/{name}/versions/{version}/stats")
async def stats(name: str, app: ServicesDep, version: str | None = None) -> Response:
    """How often the model was requested, and how long it took."""
    card = _card(app, name, version)
    return JSONResponse({"model_stats": [app.inferences.as_json(card.name, card.version)]})


@router.post("/v2/models/{name}/infer")
@router.post("/v2/models/{name}/versions/{version}/infer")
async def infer(name: str, request: Request, app: ServicesDep, version: str | None = None) -> Response:
    """The network's outputs for a tensor, exactly as onnxruntime returns them: without the card's temperature."""
    limit = largest(_card(app, name, version).input, app.uploads.limits.max_bytes)
    try:
        async with app.uploads.room():
            body = await read_body(request, limit)
            return await app.uploads.run(functools.partial(_infer, app, name, version, request, body))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it


def _infer(app: Services, name: str, version: str | None, request: Request, body: bytes) -> Response:
    """Run a request for inference. To be called in the pool."""
    began = time.perf_counter_ns()
    card, run_ns = _card(app, name, version), None
    try:
        network = app.engine.model.loaded(name)
        limit = largest(card.input, app.uploads.limits.max_bytes)
        content = unpacked(body, request.headers.get("content-encoding", ""), limit)
        asked = read_infer(content, request.headers.get(_JSON_LENGTH), card.input)
        names = [one.name for one in network.graph_outputs]
        outputs = asked.outputs or tuple(Output(output, asked.binary) for output in names)
        unknown = [output.name for output in outputs if output.name not in names]
        if unknown:
            raise InferenceInvalid(f'The model has no output "{writable(unknown[0][:100])}".', f"It has {names}.")
        started = time.perf_counter_ns()
        arrays = network.infer(asked.tensor, [output.name for output in outputs])
        took_ns = time.perf_counter_ns() - started
        head = {"model_name": card.name, "model_version": card.version}
        head |= {} if asked.id is None else {"id": asked.id}
        answer, json_length = write_infer(head, outputs, arrays, functools.partial(_labels, card))
        run_ns = took_ns
    finally:
        app.inferences.add((card.name, card.version), time.perf_counter_ns() - began, run_ns)
    return _response(request, answer, json_length)


def _response(request: Request, body: bytes, json_length: int | None) -> Response:
    headers = {} if json_length is None else {_JSON_LENGTH: str(json_length)}
    if len(body) >= MIN_BYTES and takes_gzip(request.headers):
        body = gzip.compress(body, 1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(body, 200, headers, "application/json" if json_length is None else "application/octet-stream")


def _labels(card: Card, output: str) -> Sequence[str]:
    """Return the labels of an output's values. Only the answer has them, and only if each label has its own value."""
    return card.label_names if output == card.outputs.answer and card.groups is None else ()


def _card(app: Services, name: str, version: str | None) -> Card:
    """Return the card of the model in use. Raises UnknownModel, ModelRejected."""
    card = app.engine.model.loaded(name).card
    if version is not None and version != card.version:
        raise UnknownModel(f'The model "{name}" has no version "{writable(version[:100])}".', f"It has {card.version}.")
    return card


def _input_type(card: Card) -> str:
    return {"uint8": "UINT8", "float32": "FP32"}[card.input.dtype]


# --- the repository: which models are installed, and which one is in use --------------------------------------------


@router.post("/v2/repository/index")
async def index(request: Request, app: ServicesDep) -> Response:
    """List the installed models."""
    ready_only = _to_json(await request.body()).get("ready") is True
    found = await app.files.run(lambda: _index(app))
    return JSONResponse([entry for entry in found if entry["state"] == "READY" or not ready_only])


def _index(app: Services) -> list[dict[str, str]]:
    classifier, entries = app.engine.model.classifier, []
    for name in app.engine.model.catalogue.names():
        try:
            version, reason = app.engine.model.catalogue.card(name).version, "It is not the one in use."
        except LookoutError as error:
            version, reason = "", str(error)
        used = classifier is not None and classifier.card.name == name
        state = {"state": "READY", "reason": ""} if used else {"state": "UNAVAILABLE", "reason": writable(reason)}
        entries.append({"name": writable(name), "version": version, **state})
    return entries


@router.post("/v2/repository/models/{name}/load")
async def load(name: str, request: Request, app: ServicesDep) -> Response:
    """Use another model, as PUT /api/model does. The response is sent once it is in use."""
    parameters = _to_json(await request.body()).get("parameters")
    if parameters:
        raise InferenceInvalid("A model is loaded as it is installed: parameters are not supported.")
    classifier = app.engine.model.classifier
    if classifier is None or classifier.card.name != name:
        patch: dict[str, Any] = {"model": {"name": name, "precision": "auto"}}
        await app.changes.run(lambda: app.control.patch(patch))
    return JSONResponse({})


@router.post("/v2/repository/models/{name}/unload")
async def unload(name: str, request: Request, app: ServicesDep) -> Response:
    """Refused for the model in use, which is needed for the camera; any other is not loaded anyway."""
    _to_json(await request.body())
    classifier = app.engine.model.classifier
    if classifier is not None and classifier.card.name == name:
        raise ModelRejected(
            f'The model "{name}" is in use for the camera and cannot be unloaded.', "Load another one instead."
        )
    await app.files.run(lambda: app.engine.model.catalogue.folder(name))
    return JSONResponse({})


def _to_json(body: bytes) -> dict[str, Any]:
    """Parse the body: a JSON object, or nothing at all."""
    return read_object(body) if body.strip() else {}

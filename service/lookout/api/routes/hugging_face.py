"""Hugging Face's API for image classification (/hf, /models/NAME): a picture in, labels and scores out.

huggingface_hub sends the picture itself without a Content-Type or, if there are parameters, as base64 in JSON. Errors
have the form {"error": "…"}, which `middleware/plain_errors.py` gives them.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from lookout.api.context import Services, ServicesDep
from lookout.api.inference.bodies import read_object
from lookout.api.inference.tensors import InferenceInvalid
from lookout.api.uploads import in_memory, read_body

router = APIRouter(include_in_schema=False)

DEFAULT_TOP = 5


@dataclass(frozen=True, slots=True)
class _Asked:
    picture: bytes
    top: int = DEFAULT_TOP


@router.post("/hf")
async def classify(request: Request, app: ServicesDep) -> Response:
    """Classify a picture with the model in use."""
    return await _answer(request, app, None)


@router.post("/models/{name}")
async def classify_with(name: str, request: Request, app: ServicesDep) -> Response:
    """Classify a picture with the model of that name, if it is the one in use."""
    app.engine.model.loaded(name)  # before the body is read
    return await _answer(request, app, name)


async def _answer(request: Request, app: Services, name: str | None) -> Response:
    try:
        async with app.uploads.room():
            body = await read_body(request, app.uploads.limits.max_bytes)
            kind = request.headers.get("content-type", "")
            return JSONResponse(await app.uploads.run(functools.partial(_classified, app, name, kind, body)))
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it


def _classified(app: Services, name: str | None, kind: str, body: bytes) -> list[dict[str, Any]]:
    """Decode and classify a picture. To be called in the pool."""
    asked = _read(kind, body)
    spec = app.engine.model.loaded(name).card.input
    with contextlib.ExitStack() as files:
        picture = app.uploads.decode(in_memory(asked.picture, files), 2 * min(spec.width, spec.height))
    used, prediction = app.engine.model.classify(picture.pixels, model=name)
    scores = zip(used.card.label_names, prediction.probabilities, strict=True)
    ranked = sorted(scores, key=lambda one: -one[1])[: asked.top]
    return [{"label": label, "score": round(score, 6)} for label, score in ranked]


def _read(kind: str, body: bytes) -> _Asked:
    """Parse a body: JSON if it says so or starts with a brace, as no picture does. Raises InferenceInvalid."""
    if kind.partition(";")[0].strip().lower() != "application/json" and not body[:64].lstrip().startswith(b"{"):
        return _Asked(body)
    response = read_object(body)
    text, parameters = response.get("inputs"), response.get("parameters") or {}
    if not isinstance(text, str) or not isinstance(parameters, dict):
        raise InferenceInvalid('"inputs" is not a picture in base64, or "parameters" is not an object.')
    top, function = parameters.get("top_k"), parameters.get("function_to_apply")
    if function not in (None, "softmax"):
        raise InferenceInvalid("Scores are probabilities (softmax), calibrated; no other function is applied.")
    if top is not None and (type(top) is not int or top < 1):
        raise InferenceInvalid('"top_k" is not a whole number above 0.')
    if text.startswith(("http:", "https:")):
        raise InferenceInvalid("Lookout does not fetch pictures from addresses.", "Send the picture itself.")
    try:
        picture = base64.b64decode(text.partition(",")[2] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InferenceInvalid('"inputs" is not base64.') from error
    return _Asked(picture, DEFAULT_TOP if top is None else top)

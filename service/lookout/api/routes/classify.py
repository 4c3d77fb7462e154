"""Uploaded pictures: classified by the network in use, with an explanation on request."""

from __future__ import annotations

import base64
import contextlib
import functools
import time
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from fastapi import APIRouter, Depends, Query
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from lookout.api.context import Services, ServicesDep
from lookout.api.problems import Problem, RequestTimeout, errors, problem
from lookout.api.schemas import ClassifyFailure, ClassifyResponse, Explanation
from lookout.api.uploads import UPLOAD_ERRORS, Upload, read_uploads
from lookout.deadline import Deadline
from lookout.errors import (
    LookoutError,
    PictureTooLarge,
    PictureUnreadable,
    PictureUnsupported,
)
from lookout.pictures.limits import MIN_SIDE
from lookout.pipeline.card import Card
from lookout.pipeline.classifier import Prediction
from lookout.pipeline.description import describe

router = APIRouter(tags=["classify"])

DEFAULT_TOP, MAX_TOP = 5, 100
FORM_S = 30.0  # after which no further picture of a form is started
# Errors that concern one picture only: the others of a form may still be classified.
_ONE_PICTURES_OWN = (PictureTooLarge, PictureUnreadable, PictureUnsupported)
_BINARY = {"type": "string", "format": "binary"}
_BODY = {
    "requestBody": {
        "required": True,
        "description": "One JPEG, PNG, WebP, BMP, TIFF or GIF picture; or several as files of a multipart form.",
        "content": {
            "image/*": {"schema": _BINARY},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["pictures"],
                    "properties": {"pictures": {"type": "array", "minItems": 1, "items": _BINARY}},
                }
            },
        },
    }
}


@dataclass(frozen=True, slots=True)
class ClassifyQuery:
    """What the response should contain."""

    top: int
    model: str | None
    embedding: bool
    explain: bool


async def classify_query(
    top: Annotated[int, Query(ge=1, le=MAX_TOP, description="How many labels to list, best first.")] = DEFAULT_TOP,
    model: Annotated[str | None, Query(max_length=100, description="The model in use; another is refused.")] = None,
    embedding: Annotated[bool, Query(description="With the network's embedding of the picture.")] = False,
    explain: Annotated[bool, Query(description="With the class activation map of the best label.")] = False,
) -> ClassifyQuery:
    """Return the query. (As a dependency, a class would be called on another thread.)"""
    return ClassifyQuery(top, model, embedding, explain)


@router.post(
    "/api/classify",
    operation_id="classify",
    summary="Classify one picture, or several",
    response_model=ClassifyResponse | list[ClassifyResponse | ClassifyFailure],
    responses=errors(*UPLOAD_ERRORS),
    openapi_extra=_BODY,
)
async def classify(
    request: Request, app: ServicesDep, query: Annotated[ClassifyQuery, Depends(classify_query)]
) -> Response:
    """The response for one picture is an object, for a multipart form a list in the form's order.

    An unreadable picture in a form gets a problem in its place; if all are unreadable, the first problem is returned.
    """
    try:
        async with app.uploads.room():
            with contextlib.ExitStack() as files:
                uploads, several = await read_uploads(request, app.uploads.limits.max_bytes, files)
                deadline = Deadline.after(FORM_S)
                answers = [
                    await app.uploads.run(functools.partial(_classify, app, one, query, deadline)) for one in uploads
                ]
            if refusal := _refusal(answers):
                raise refusal
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    contents = [_content(upload, answer) for upload, answer in zip(uploads, answers, strict=True)]
    return JSONResponse(contents if several else contents[0])


def _classify(
    app: Services, upload: Upload, query: ClassifyQuery, deadline: Deadline
) -> ClassifyResponse | LookoutError:
    """Decode and classify a picture, or return what is wrong with it. To be called in the pool."""
    if deadline.passed:
        raise RequestTimeout("The pictures of this form take too long together.", "Send fewer at once.")
    try:
        return _response(app, upload, query)
    except LookoutError as error:
        if upload.name:
            error.detail = f"{upload.name[:100]}: {error.detail}"
        if isinstance(error, _ONE_PICTURES_OWN):
            return error
        raise


def _refusal(answers: list[ClassifyResponse | LookoutError]) -> LookoutError | None:
    """The first problem, if no picture could be classified."""
    problems = [answer for answer in answers if isinstance(answer, LookoutError)]
    return problems[0] if len(problems) == len(answers) else None


def _content(upload: Upload, answer: ClassifyResponse | LookoutError) -> dict[str, object]:
    item: ClassifyResponse | ClassifyFailure
    if isinstance(answer, LookoutError):
        item = ClassifyFailure(name=upload.name, error=Problem(**problem(answer)))
    else:
        item = answer
    return item.model_dump(mode="json", exclude_unset=True)


def _response(app: Services, upload: Upload, query: ClassifyQuery) -> ClassifyResponse:
    classifier = app.engine.classifier
    least = MIN_SIDE if classifier is None else 2 * min(classifier.card.input.width, classifier.card.input.height)
    started = time.perf_counter()
    picture = app.uploads.decode(upload, least)
    decode_ms = (time.perf_counter() - started) * 1e3
    used, prediction = app.engine.model.classify(
        picture.pixels, model=query.model, embedding=query.embedding, activation_map=query.explain
    )
    card, size = used.card, (picture.width, picture.height)
    answer = describe(card, used.precision, prediction, size=size, decode_ms=decode_ms, top=query.top)
    if query.embedding:
        values = prediction.embedding
        answer["embedding"] = None if values is None else [round(float(value), 6) for value in values.ravel()]
    if query.explain:
        best = max(zip(prediction.probabilities, card.label_names, strict=True), key=lambda pair: pair[0])[1]
        answer["explanation"] = _explanation(card, prediction, best)
    return ClassifyResponse.model_validate(answer)


def _explanation(card: Card, prediction: Prediction, label: str) -> Explanation | None:
    """Return how much each cell of the picture supports the label, as a small grey picture; None without a map.

    Zhou et al. 2016, "Learning Deep Features for Discriminative Localization": evidence against the label is left out.
    """
    if prediction.activation_map is None:
        return None
    cells = np.maximum(prediction.activation_map[card.label_names.index(label)], 0.0)
    peak = float(cells.max())
    grey = np.zeros(cells.shape, np.uint8) if peak <= 0 else np.rint(cells * (255 / peak)).astype(np.uint8)
    _, png = cv2.imencode(".png", grey)
    uri = "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()
    return Explanation(png=uri, cells=int(cells.size), label=label)

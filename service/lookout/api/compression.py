"""gzip for long responses on slow networks. Files are compressed once, lists of models and settings each time."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping
from typing import Any

from starlette.responses import JSONResponse, Response

# Below this size, the header costs more than compression saves.
MIN_BYTES = 1000
# The last per cent of a short response is not worth a small machine's time.
_LEVEL = 5


def takes_gzip(request_headers: Mapping[str, str]) -> bool:
    """Whether the client's Accept-Encoding allows gzip (RFC 9110, 12.5.3)."""
    weights = {}
    for part in request_headers.get("accept-encoding", "").lower().split(","):
        coding, _, weight = part.partition(";")
        weights[coding.strip()] = weight.replace(" ", "")
    gzip_weight = weights.get("gzip", weights.get("*"))
    return gzip_weight is not None and not re.fullmatch(r"q=0(\.0*)?", gzip_weight)


def packed_json(content: Any, request_headers: Mapping[str, str]) -> Response:
    """The content as JSON, compressed if it is long and the client accepts gzip."""
    response = JSONResponse(content, headers={"Vary": "Accept-Encoding"})
    body = bytes(response.body)
    if len(body) < MIN_BYTES or not takes_gzip(request_headers):
        return response
    headers = {"Vary": "Accept-Encoding", "Content-Encoding": "gzip"}
    return Response(gzip.compress(body, _LEVEL, mtime=0), headers=headers, media_type=response.media_type)

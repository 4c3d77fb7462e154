"""Request and response bodies of the Open Inference Protocol: JSON, with the tensors in it or as bytes after it."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from lookout.api.inference.tensors import (
    InferenceInvalid,
    Tensor,
    datatype_of,
    from_bytes,
    from_json,
    ranked,
    to_bytes,
    to_json,
)
from lookout.pictures.refusals import too_many_bytes
from lookout.pipeline.card import InputSpec

# The most bytes of JSON for one value of the tensor (nested, indented, with all digits), and for everything else.
_JSON_BYTES_A_VALUE, _JSON_BYTES = 48, 64 * 1024
_DATATYPES = {"uint8": "UINT8", "float32": "FP32"}
_WINDOWS = {"gzip": 31, "deflate": 15}


@dataclass(frozen=True, slots=True)
class Output:
    """An output that was requested. top: how many of its largest values to return as texts; 0: the tensor itself."""

    name: str
    binary: bool
    top: int = 0


@dataclass(frozen=True, slots=True)
class InferRequest:
    """A request for inference. tensor: the model's input. outputs: empty means all."""

    id: str | None
    tensor: Tensor
    outputs: tuple[Output, ...]
    binary: bool


def largest(spec: InputSpec, max_bytes: int) -> int:
    """Return the maximum size in bytes of a body for this input, in any encoding."""
    values = spec.width * spec.height * spec.channels
    return min(max_bytes, values * _JSON_BYTES_A_VALUE + _JSON_BYTES)


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the decompressed body. Decompression stops once there are more than `limit` bytes.

    Raises InferenceInvalid, PictureTooLarge.
    """
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return body
    if encoding not in _WINDOWS:
        raise InferenceInvalid(f'The encoding "{encoding[:40]}" is not supported.', "Use gzip or deflate, or none.")
    unpacker = zlib.decompressobj(_WINDOWS[encoding])
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise InferenceInvalid(f"The body is not {encoding}.") from error
    if len(content) > limit:
        raise too_many_bytes(limit)
    if not unpacker.eof:
        raise InferenceInvalid(f"The {encoding} of the body ends too early.")
    return content


def read_infer(body: bytes, json_length: str | None, spec: InputSpec) -> InferRequest:
    """Parse a request. json_length: the header Inference-Header-Content-Length. Raises InferenceInvalid."""
    size = len(body)
    if json_length is not None:
        if re.fullmatch("[0-9]{1,12}", json_length) is None or int(json_length) > len(body):
            raise InferenceInvalid("Inference-Header-Content-Length is not the length of the JSON in the body.")
        size = int(json_length)
    request = read_object(body[:size])
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or not isinstance(inputs[0], dict):
        raise InferenceInvalid(f'"inputs" is not a list of one input, "{spec.name}".')
    parameters = _parameters(request)
    binary = parameters.get("binary_data_output", False)
    named = request.get("id")
    if not isinstance(binary, bool) or not (named is None or isinstance(named, str)):
        raise InferenceInvalid('"binary_data_output" is not true or false, or "id" is not text.')
    return InferRequest(named, _tensor(inputs[0], memoryview(body)[size:], spec), _outputs(request, binary), binary)


def read_object(text: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises InferenceInvalid."""
    try:
        found = json.loads(text.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InferenceInvalid("The body is not JSON.") from error
    if not isinstance(found, dict):
        raise InferenceInvalid("The body is not a JSON object.")
    return found


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parameters(part: dict[str, Any]) -> dict[str, Any]:
    parameters = part.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InferenceInvalid('"parameters" is not an object.')
    if any(name.startswith("shared_memory") for name in parameters):
        raise InferenceInvalid("Shared memory is not supported.", "Send the tensor in the body.")
    return parameters


def _tensor(given: dict[str, Any], rest: memoryview, spec: InputSpec) -> Tensor:
    datatype, shape = _DATATYPES[spec.dtype], list(spec.shape)
    if given.get("name") != spec.name:
        raise InferenceInvalid(f'The model has one input, "{spec.name}".')
    if given.get("datatype") != datatype:
        raise InferenceInvalid(f'The input "{spec.name}" is {datatype}.')
    asked = given.get("shape")
    if asked != shape or not all(type(side) is int for side in asked):  # True and 1.0 are 1 to Python
        raise InferenceInvalid(f'The input "{spec.name}" has the shape {shape}, one picture at a time.')
    size = _parameters(given).get("binary_data_size")
    if size is None:
        if rest:
            raise InferenceInvalid('There are bytes after the JSON, but the input has no "binary_data_size".')
        return from_json(given.get("data"), datatype, shape)
    if "data" in given:
        raise InferenceInvalid('The input has both "data" and "binary_data_size", but only one of them is allowed.')
    if type(size) is not int or size != len(rest):
        raise InferenceInvalid(f'"binary_data_size" is not the {len(rest):,} bytes that follow the JSON.')
    return from_bytes(rest, datatype, shape)


def _outputs(request: dict[str, Any], binary: bool) -> tuple[Output, ...]:
    named = request.get("outputs")
    if named is None:
        return ()
    if not isinstance(named, list) or not all(isinstance(entry, dict) for entry in named):
        raise InferenceInvalid('"outputs" is not a list of outputs.')
    outputs = tuple(_output(entry, binary) for entry in named)
    if len({output.name for output in outputs}) != len(outputs):
        raise InferenceInvalid("An output is requested twice.")
    return outputs


def _output(entry: dict[str, Any], binary: bool) -> Output:
    name, parameters = entry.get("name"), _parameters(entry)
    as_bytes, top = parameters.get("binary_data", binary), parameters.get("classification", 0)
    if not isinstance(name, str) or not isinstance(as_bytes, bool) or type(top) is not int or top < 0:
        raise InferenceInvalid('An output has no name, or its "binary_data" or "classification" is not valid.')
    return Output(name, as_bytes, top)


def write_infer(
    head: dict[str, Any], outputs: Sequence[Output], arrays: Sequence[Tensor], labels: Callable[[str], Sequence[str]]
) -> tuple[bytes, int | None]:
    """Return the body, and the length of its JSON if bytes follow it. labels: gives the labels of an output's values.

    Raises InferenceInvalid if an output cannot be written in the requested form.
    """
    described, parts = [], []
    for output, raw in zip(outputs, arrays, strict=True):
        array = ranked(raw, output.top, labels(output.name)) if output.top else raw
        one: dict[str, Any] = {"name": output.name, "datatype": datatype_of(array), "shape": list(array.shape)}
        if output.binary:
            parts.append(to_bytes(array))
            one["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            one["data"] = to_json(array)
        described.append(one)
    text = json.dumps({**head, "outputs": described}, separators=(",", ":")).encode()
    return b"".join([text, *parts]), len(text) if parts else None

"""Sessions that also return the results of inner layers, by making inner tensors outputs of the graph.

Concatenated protobuf messages are merged, including nested messages and lists. So a few bytes appended to the file add
outputs to its graph, without parsing, changing and writing megabytes.
https://protobuf.dev/programming-guides/encoding/#last-one-wins
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import onnxruntime as ort

from lookout.errors import ModelRejected
from lookout.pipeline.card import MAX_GRAPH_BYTES
from lookout.pipeline.session import one_line, session_options
from lookout.system.regular_files import read_regular

# From onnx.proto.
_MODEL_GRAPH, _GRAPH_OUTPUT, _VALUE_NAME = 7, 12, 1
_LENGTH_DELIMITED = 2
_PROVIDERS = ["CPUExecutionProvider"]


def open_session_with_outputs(
    path: Path, sha256: str, tensors: Iterable[str], options: ort.SessionOptions | None = None
) -> ort.InferenceSession:
    """Open an ONNX file with these tensors as additional outputs, by default to run on one thread.

    sha256: of the file. tensors: names in its graph, none of them an output already.
    Raises ModelRejected if the file has another hash, cannot be read, or lacks one of the tensors.
    """
    try:
        data = read_regular(path, MAX_GRAPH_BYTES)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise ModelRejected(f"The model file {path} is not the one its card describes.", "Restore the file.")
        options = options or session_options(threads=1)
        return ort.InferenceSession(data + more_outputs(tensors), options, providers=_PROVIDERS)
    except ModelRejected:
        raise
    except Exception as error:  # onnxruntime's errors have no common base class
        raise ModelRejected(f"The layers of {path} cannot be inspected: {one_line(error)}.") from error


def more_outputs(tensors: Iterable[str]) -> bytes:
    """The bytes to append to an ONNX file to make these tensors outputs. onnxruntime infers their types and shapes."""
    outputs = (_field(_GRAPH_OUTPUT, _field(_VALUE_NAME, name.encode())) for name in tensors)
    return _field(_MODEL_GRAPH, b"".join(outputs))


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """A protobuf varint: seven bits per byte, lowest first; the eighth bit means that another byte follows."""
    *more, last = [value >> shift & 0x7F for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(bits | 0x80 for bits in more), last])

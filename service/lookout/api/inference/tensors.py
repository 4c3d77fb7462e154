"""Tensors as the Open Inference Protocol encodes them: as JSON, or as bytes after the JSON."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookout.errors import RequestInvalid

Tensor = NDArray[Any]

_DTYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
}
_DATATYPES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}
# The names that onnxruntime uses, such as tensor(float).
_ONNX = {"tensor(bool)": "BOOL", "tensor(float16)": "FP16", "tensor(float)": "FP32", "tensor(double)": "FP64"}
_ONNX |= {f"tensor({name.lower()})": name for name in _DTYPES if "INT" in name}


class InferenceInvalid(RequestInvalid):
    """A request does not conform to the Open Inference Protocol, or does not fit the model."""

    code = "inference_invalid"
    status = 400


def datatype_of(array: Tensor) -> str:
    """Return the protocol's name for the array's type, such as FP32."""
    return _DATATYPES.get(array.dtype, "BYTES")


def datatype_of_onnx(kind: str) -> str:
    """Return the protocol's name for a type of onnxruntime, such as tensor(float)."""
    return _ONNX.get(kind, "BYTES")


def from_bytes(data: memoryview, datatype: str, shape: Sequence[int]) -> Tensor:
    """Decode a tensor. Raises InferenceInvalid if the number of bytes does not match the shape and type."""
    dtype = np.dtype(_DTYPES[datatype]).newbyteorder("<")
    expected = math.prod(shape) * dtype.itemsize
    if len(data) != expected:
        raise InferenceInvalid(f"The tensor has {len(data):,} bytes, but {datatype} of that shape needs {expected:,}.")
    # Copied, because the bytes may start at any offset and the network needs them aligned.
    return np.frombuffer(data, dtype).reshape(shape).copy()


def from_json(data: object, datatype: str, shape: Sequence[int]) -> Tensor:
    """Convert a list, flat or nested like the shape. datatype: UINT8 or FP32. Raises InferenceInvalid."""
    values = _flat(data, len(shape))
    if len(values) != math.prod(shape):
        raise InferenceInvalid(f"The tensor has {len(values):,} values, but its shape needs {math.prod(shape):,}.")
    if datatype == "UINT8":
        # Some clients write whole numbers with a fraction: 7.0.
        if not all(type(value) in (int, float) and 0 <= value <= 255 and value == int(value) for value in values):
            raise InferenceInvalid("A value of the tensor is not a whole number from 0 to 255, as UINT8 requires.")
        return np.array(values, np.uint8).reshape(shape)
    if not all(type(value) is int or type(value) is float for value in values):
        raise InferenceInvalid("A value of the tensor is not a number.")
    try:
        with np.errstate(over="ignore"):
            tensor = np.array([float(value) for value in values], np.float64).astype(np.float32)
    except OverflowError:
        raise _too_large() from None
    if not np.isfinite(tensor).all():
        raise _too_large()
    return tensor.reshape(shape)


def _flat(data: object, depth: int) -> list[Any]:
    if not isinstance(data, list):
        raise InferenceInvalid('"data" of the tensor is not a list.')
    values: list[Any] = data
    for _ in range(depth - 1):
        if not (values and isinstance(values[0], list)):
            break
        if not all(isinstance(value, list) for value in values):
            raise InferenceInvalid("The lists of the tensor are not nested alike.")
        values = list(itertools.chain.from_iterable(values))
    return values


def _too_large() -> InferenceInvalid:
    return InferenceInvalid("A value of the tensor is larger than FP32 can hold.")


def to_json(array: Tensor) -> list[Any]:
    """Return a flat list. A float32 keeps every bit. Raises InferenceInvalid for values that JSON cannot express."""
    if array.dtype == np.float16:
        raise InferenceInvalid("FP16 cannot be written as JSON.", 'Ask for it with "binary_data": true.')
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InferenceInvalid(
            "The output has values that JSON cannot express (NaN or infinity).", 'Ask for it with "binary_data": true.'
        )
    if array.dtype == object:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in array.ravel()]
    values: list[Any] = array.ravel().tolist()
    return values


def to_bytes(array: Tensor) -> bytes:
    """Encode an array: little-endian, in row-major order; each text is preceded by its length."""
    if array.dtype == object:
        texts = [value if isinstance(value, bytes) else str(value).encode() for value in array.ravel()]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def ranked(array: Tensor, top: int, labels: Sequence[str]) -> Tensor:
    """Return the largest values as texts "value:index:label", best first (the classification extension)."""
    values = np.asarray(array, np.float64).ravel()
    order = np.argsort(-values, kind="stable")[:top]
    named = len(labels) == len(values)
    texts = [f"{values[at]:f}:{at}" + (f":{labels[at]}" if named else "") for at in order.tolist()]
    return np.array([text.encode("utf-8", "replace") for text in texts], object)

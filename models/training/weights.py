"""Weights as safetensors files: a JSON header and raw numbers, which can be read without executing code."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from models.training.files import whole_file

DTYPES = {"F16": np.float16, "F32": np.float32, "I64": np.int64}
MAX_F16 = float(np.finfo(np.float16).max)
MAX_HEADER = 2**24  # bytes; enough for about a hundred thousand tensors


def fits_float16(values: NDArray[Any]) -> bool:
    """Whether every value is within the range of float16."""
    return float(np.abs(values).max(initial=0)) <= MAX_F16


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return a file's tensors, floats as float32, and its metadata. Raises ValueError if it cannot be such a file."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data) if len(data) >= 8 else (MAX_HEADER + 1,)
    if length > min(MAX_HEADER, len(data) - 8):
        raise ValueError(f"{path} is not a safetensors file")
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{path} holds {name} as {entry['dtype']}, which is none of {', '.join(DTYPES)}")
        array = np.frombuffer(body[start:end], DTYPES[entry["dtype"]]).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(array.astype(np.int64 if entry["dtype"] == "I64" else np.float32))
    return tensors, metadata


def write_safetensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors as float16, or as float32 if a value is too large for float16, as variances may be.

    BatchNorm's step counters, which are not needed, are left out.
    """
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    parts, at = [], 0
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            continue
        values = tensor.detach().cpu().contiguous().numpy()
        kind = "F16" if fits_float16(values) else "F32"
        raw = values.astype(DTYPES[kind]).tobytes()
        header[name] = {"dtype": kind, "shape": list(tensor.shape), "data_offsets": [at, at + len(raw)]}
        parts.append(raw)
        at += len(raw)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with whole_file(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.writelines(parts)


def load_by_name(network: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load weights by name. BatchNorm's step counters may be missing; raises ValueError if any other name differs."""
    missing, unexpected = network.load_state_dict(weights, strict=False)
    wrong = [name for name in missing if not name.endswith("num_batches_tracked")] + unexpected
    if wrong:
        raise ValueError(f"the weights do not fit this network: {', '.join(wrong[:3])}")

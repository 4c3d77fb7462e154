"""Strategies: sound inputs with something broken in them get further into a decoder than noise does."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import zlib
from typing import Any

import cv2
import numpy as np
from hypothesis import strategies as st
from lookout.resources import models_folder
from lookout.settings.keys import all_keys

FORMATS = (".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif")
# Numbers at which counters, sizes and floats break.
EDGES = (0, 1, -1, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32, 2**63, 2**64, 10**400)


@functools.cache
def sound_pictures() -> tuple[bytes, ...]:
    """One small picture in every format, colours and transparency included."""
    random = np.random.default_rng(1)
    shapes = [(40, 30, 3), (17, 33), (24, 24, 4)]
    found = []
    for shape in shapes:
        pixels = random.integers(0, 256, shape, np.uint8)
        for kind in FORMATS:
            try:
                good, data = cv2.imencode(kind, pixels)
            except cv2.error:
                continue
            if good:
                found.append(data.tobytes())
    return tuple(found)


@st.composite
def broken(draw: st.DrawFn, sound: tuple[bytes, ...]) -> bytes:
    """One of the sound inputs, cut, with bytes changed, doubled, left out or put in."""
    data = bytearray(draw(st.sampled_from(sound)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["change", "cut", "put in", "leave out", "double", "number"])):
            case "change" if data:
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at:]
            case "put in":
                data[at:at] = draw(st.binary(max_size=40))
            case "leave out":
                del data[at : at + draw(st.integers(1, 64))]
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case _:
                size = draw(st.sampled_from([2, 4, 8]))
                order = draw(st.sampled_from(["big", "little"]))
                value = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])) * (2 ** (8 * (size - 1)))
                data[at : at + size] = value.to_bytes(size, order)  # type: ignore[arg-type]
    return bytes(data)


def pictures() -> st.SearchStrategy[bytes]:
    return st.one_of(broken(sound_pictures()), st.binary(max_size=200), st.just(b""))


def json_values() -> st.SearchStrategy[Any]:
    """Anything JSON can say, and what Python's reader takes beyond it (NaN, endless digits)."""
    leaves = st.one_of(
        st.none(), st.booleans(), st.sampled_from(EDGES), st.integers(), st.floats(), st.text(max_size=20)
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=10), inner, max_size=4)),
        max_leaves=8,
    )


@functools.cache
def _sound_card() -> str:
    return (models_folder() / "cat-dog-resnet18" / "card.json").read_text("utf-8")


@st.composite
def cards(draw: st.DrawFn) -> bytes:
    """The shipped card with values replaced, added or removed anywhere in it; or with its bytes broken."""
    if draw(st.booleans()):
        return draw(broken((_sound_card().encode(),)))
    card = json.loads(_sound_card())
    for _ in range(draw(st.integers(1, 4))):
        place: Any = card
        while isinstance(place, (dict, list)) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if isinstance(place[key], (dict, list)) and place[key] and draw(st.booleans()):
                place = place[key]
                continue
            match draw(st.sampled_from(["replace", "remove", "add"])):
                case "replace":
                    place[key] = draw(json_values())
                case "remove":
                    del place[key]
                case _ if isinstance(place, dict):
                    place[draw(st.text(max_size=10))] = draw(json_values())
            break
    return json.dumps(card).encode("utf-8", "surrogatepass")


def patches() -> st.SearchStrategy[Any]:
    """Bodies of PATCH /api/settings: real keys with any values, and anything else."""
    by_section: dict[str, list[str]] = {}
    for name in all_keys():
        section, _, leaf = name.partition(".")
        by_section.setdefault(section, []).append(leaf)
    real = st.fixed_dictionaries(
        {},
        optional={
            section: st.dictionaries(st.sampled_from(leaves), json_values(), max_size=3)
            for section, leaves in by_section.items()
        },
    )
    return st.one_of(real, st.dictionaries(st.text(max_size=10), json_values(), max_size=3))


@st.composite
def toml(draw: st.DrawFn) -> bytes:
    """Settings files: sound lines, lines with broken values, broken bytes."""
    lines = []
    for name in draw(st.lists(st.sampled_from(sorted(all_keys())), max_size=6)):
        key = all_keys()[name]
        sound = st.just(json.dumps(key.value) if key.value is not None else '"x"')
        value = draw(st.one_of(sound, st.sampled_from([str(edge) for edge in EDGES]), st.text(max_size=12)))
        section, _, leaf = name.partition(".")
        lines.append(f"{section}.{leaf} = {value}")
    text = "\n".join(lines).encode("utf-8", "surrogatepass")
    return draw(broken((text,))) if draw(st.booleans()) else text


def environment() -> st.SearchStrategy[dict[str, str]]:
    """Variables of ours with any text; an environment holds no zero byte."""
    names = st.one_of(st.sampled_from([key.environment for key in all_keys().values()]), st.just("LOOKOUT_OTHER"))
    texts = st.one_of(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
        st.sampled_from([str(edge) for edge in EDGES]),
        json_values().map(lambda value: json.dumps(value).replace("\0", "")),
    )
    return st.dictionaries(names, texts, max_size=3)


@functools.cache
def _sound_form() -> bytes:
    head = b'--edge\r\nContent-Disposition: form-data; name="pictures"; filename="a.jpg"\r\n\r\n'
    return head + sound_pictures()[0][:80] + b"\r\n" + head + b"x\r\n--edge--\r\n"


def forms() -> st.SearchStrategy[bytes]:
    """Bodies of a multipart form with the boundary "edge"."""
    return st.one_of(broken((_sound_form(),)), st.binary(max_size=200))


def messages() -> st.SearchStrategy[str | bytes]:
    """What a client may say over the WebSocket."""
    acknowledgement = st.fixed_dictionaries({"type": st.just("ack"), "sequence": json_values()}).map(json.dumps)
    nested = st.integers(1, 30_000).map(lambda depth: "[" * depth)
    sound = (b'{"type": "ack", "sequence": 12}',)
    return st.one_of(
        acknowledgement, json_values().map(json.dumps), st.text(max_size=50), nested, st.binary(max_size=50),
        broken(sound).map(lambda data: data.decode("utf-8", "replace")),
    )  # fmt: skip


def queries() -> st.SearchStrategy[dict[str, str]]:
    numbers = st.one_of(st.floats().map(str), st.integers().map(str), st.text(max_size=12))
    return st.dictionaries(st.sampled_from(["rate", "picture", "other"]), numbers, max_size=3)


_LINES = (
    b"Host: localhost\r\n",
    b"Connection: close\r\n",
    b"Connection: Upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Upgrade: h2c\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
    b"Content-Length: 5\r\n",
    b"Content-Length: 99999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Expect: 100-continue\r\n",
    b"Content-Type: application/json\r\n",
    b"Cookie: " + b"a" * 9000 + b"\r\n",
    b"X: y\r\n" * 130,
    b"\n",
    b"\r\n",
)
_STARTS = (
    b"GET /healthz HTTP/1.1\r\n",
    b"GET /api/live HTTP/1.1\r\n",
    b"PUT /api/paused HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"POST /api/classify HTTP/1.1\r\n",
    b"GET /api/live.sse HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET / HTTP/0.9\r\n",
)
_BODIES = (
    b"",
    b"false",
    b"5\r\nfalse\r\n0\r\n\r\n",
    b"5;a=b\r\nfalse\r\n0\r\nX: y\r\n\r\n",
    b"FFFFFFFF\r\n",
    b"\x81\x80\0\0\0\0",
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """What may come over one HTTP connection: a few requests behind each other, sound and broken."""
    sent = b""
    for _ in range(draw(st.integers(1, 4))):
        lines = b"".join(draw(st.lists(st.sampled_from(_LINES), max_size=8)))
        whole = (
            draw(st.sampled_from(_STARTS)) + b"Host: localhost\r\n" + lines + b"\r\n" + draw(st.sampled_from(_BODIES))
        )
        sent += draw(broken((whole,))) if draw(st.booleans()) else whole
    return sent


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """What may come over one WebSocket: frames of any kind, sound and broken, whole and in parts."""
    sent = b""
    for _ in range(draw(st.integers(1, 30))):
        first = draw(st.sampled_from([0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xC1, 0x83]))
        data = draw(st.binary(max_size=130))
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2, "big")
        sent += bytes([first]) + size + bytes(4) + data
    return draw(broken((sent,))) if draw(st.booleans()) else sent


# Of the small network that the decoder is tried with: 4 x 4 pixels of three colours.
_TENSOR = {"name": "pixels", "shape": [1, 4, 4, 3], "datatype": "UINT8"}


@functools.cache
def sound_inferences() -> tuple[bytes, ...]:
    """Bodies of the Open Inference Protocol, with the tensor as JSON and as bytes behind it."""
    flat, bytes_behind = list(range(48)), {"parameters": {"binary_data_size": 48}}
    nested = np.arange(48).reshape(1, 4, 4, 3).tolist()
    outputs = [{"name": "logits", "parameters": {"binary_data": True}}, {"name": "embedding"}]
    requests = [
        {"id": "1", "inputs": [{**_TENSOR, "data": flat}]},
        {"inputs": [{**_TENSOR, "data": nested}], "outputs": outputs},
        {"inputs": [{**_TENSOR, **bytes_behind}], "parameters": {"binary_data_output": True}},
        {"inputs": [{**_TENSOR, **bytes_behind}], "outputs": [{"name": "x", "parameters": {"classification": 2}}]},
    ]
    return tuple(
        json.dumps(request).encode() + (bytes(48) if "data" not in request["inputs"][0] else b"")  # type: ignore[index]
        for request in requests
    )


@st.composite
def inferences(draw: st.DrawFn) -> tuple[bytes, str | None, str]:
    """A body, the length that is said of its JSON, and the compression that is said of it."""
    if draw(st.booleans()):
        body = draw(broken(sound_inferences()))
    else:
        tensor = {**_TENSOR, "data": [0] * 48}
        tensor[draw(st.sampled_from(["name", "shape", "datatype", "data", "parameters"]))] = draw(json_values())
        changed = draw(st.sampled_from(["id", "inputs", "outputs", "parameters"]))
        request = {"inputs": [tensor], changed: draw(json_values())}
        body = json.dumps(request).encode()
    end = body.rfind(b"}") + 1
    length = draw(st.sampled_from([None, str(end), str(len(body)), "0", "-1", "9" * 12, "x"]))
    encoding = draw(st.sampled_from(["", "", "", "gzip", "deflate", "br"]))
    if encoding in ("gzip", "deflate") and draw(st.booleans()):
        packed = gzip.compress(body, 1) if encoding == "gzip" else zlib.compress(body, 1)
        body = draw(broken((packed,)))
    return body, length, encoding


@st.composite
def hugging_faces(draw: st.DrawFn) -> bytes:
    """Pictures as they are, and as base64 in JSON."""
    if draw(st.booleans()):
        return draw(broken(sound_pictures()))
    text = base64.b64encode(draw(broken(sound_pictures()))).decode()
    reported: dict[str, Any] = {"inputs": text, "parameters": {"top_k": 2}}
    if draw(st.booleans()):
        reported[draw(st.sampled_from(["inputs", "parameters"]))] = draw(json_values())
    return draw(broken((json.dumps(reported).encode(),)))

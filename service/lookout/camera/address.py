"""Parsing of camera addresses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from lookout.errors import CameraUnsupported
from lookout.redaction import LOCAL_KINDS, NESTED_URL, hides_password, redact

EXAMPLES = (
    "auto, pi:0, usb:0, /dev/video0, rtsp://HOST/PATH, http://HOST/PATH, file:clip.mp4, folder:photos/, demo "
    "or scripted:MODULE:NAME"
)
LIVE_KINDS = frozenset({"auto", "pi", "usb", "rtsp", "http", "demo", "scripted"})
_SCHEMES = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
_PERCENT = "Write / ? # @ : % in a user name or password as %2F %3F %23 %40 %3A %25"


@dataclass(frozen=True, slots=True)
class Address:
    """kind: as in `CameraInfo`, or "auto". rest: what follows the kind, or the whole address of a stream."""

    kind: str
    rest: str

    @property
    def live(self) -> bool:
        return self.kind in LIVE_KINDS


def parse(address: str) -> Address:
    """Parse an address. Raises CameraUnsupported, with examples, if it is not valid."""
    text = address.strip()
    if not re.sub("[\ud800-\udfff]", "", text).isprintable():  # surrogates: bytes that are not UTF-8
        raise CameraUnsupported(
            f"The camera address '{redact(text)}' contains a line break or another control character.",
            f"Use {EXAMPLES}.",
        )
    if text.lower() in ("auto", "demo"):
        return Address(text.lower(), "")
    if text.startswith("/dev/"):
        return Address("usb", text)
    head, colon, rest = text.partition(":")
    head = head.lower()
    if head in _SCHEMES and rest.startswith("//"):
        return Address(_SCHEMES[head], _stream(f"{head}:{rest}"))
    if head in LOCAL_KINDS and (colon or head in ("pi", "usb")):
        return Address(head, _rest(head, rest))
    raise CameraUnsupported(
        f"'{redact(text)}' is not a camera address." if text else "The camera address is empty.", f"Use {EXAMPLES}."
    )


def is_live(address: str) -> bool:
    """Whether frames of this address are live. An address that cannot be parsed counts as live."""
    try:
        return parse(address).live
    except CameraUnsupported:
        return True


def shows_one_scene(address: str) -> bool:
    """Whether all frames of this address show the same place, unlike the pictures of a folder."""
    try:
        return parse(address).kind != "folder"
    except CameraUnsupported:
        return True


def _stream(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        # A "/" or "#" in a password ends the host too early, so that the port is not a number.
        raise CameraUnsupported(
            f"The stream address '{redact(text)}' has a host or port that cannot be read.", f"{_PERCENT}."
        ) from None
    if hides_password(text):
        raise CameraUnsupported(
            f"The stream address '{redact(text)}' cannot be read: there is an @ after its host.",
            f"{_PERCENT}, and an @ after the host as %40.",
        )
    if not host:
        raise CameraUnsupported(f"The stream address '{redact(text)}' has no host.", "Use rtsp://HOST/PATH.")
    return text.replace(" ", "%20")


def _rest(kind: str, rest: str) -> str:
    rest = rest.strip()
    if NESTED_URL.match(rest):
        raise CameraUnsupported(
            f"'{kind}:' means something on this machine, but {redact(rest)} is a network address.",
            f"Use that address without '{kind}:'.",
        )
    if kind in ("pi", "usb"):
        return rest or "0"
    if kind == "scripted":
        if rest.count(":") != 1 or not all(rest.split(":")):
            raise CameraUnsupported("A scripted camera names a module and a name in it.", "Use scripted:MODULE:NAME.")
        return rest
    if not rest:
        raise CameraUnsupported(f"'{kind}:' names no {kind}.", f"Use {kind}:PATH.")
    return rest

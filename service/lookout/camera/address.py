"""Camera addresses: what kind of source they name, and how to show them without their credentials."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from lookout.errors import CameraUnsupported

EXAMPLES = (
    "auto, pi:0, usb:0, /dev/video0, rtsp://HOST/PATH, http://HOST/PATH, file:clip.mp4, folder:photos/, demo "
    "or scripted:MODULE:NAME"
)
LIVE_KINDS = frozenset({"auto", "pi", "usb", "rtsp", "http", "demo", "scripted"})
_PREFIXED = frozenset({"pi", "usb", "file", "folder", "scripted"})
_SCHEMES = {"rtsp": "rtsp", "rtsps": "rtsp", "http": "http", "https": "http"}
# Cameras take passwords in the query as well: ".../snapshot.cgi?user=admin&pwd=1234"; some recorders in the path:
# "rtsp://host/user=admin_password=1234_channel=1".
_SECRET = re.compile(r"pass|pw|token|secret|auth|key|user|usr|login|sign", re.IGNORECASE)
_SECRET_PAIR = re.compile(rf"([^/?&;_=]*(?:{_SECRET.pattern})[^/?&;_=]*)=((?:(?!_[^/?&;_=]+=)[^/?&;])*)", re.IGNORECASE)
_URL_IN_TEXT = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """kind: as in `CameraInfo`, or "auto". rest: what follows the kind, the whole address for a stream."""

    kind: str
    rest: str

    @property
    def live(self) -> bool:
        return self.kind in LIVE_KINDS


def parse(address: str) -> Address:
    """Take an address apart. Raises CameraUnsupported with examples when it is none."""
    text = address.strip()
    if text in ("auto", "demo"):
        return Address(text, "")
    if text.startswith("/dev/"):
        return Address("usb", text)
    head, colon, rest = text.partition(":")
    head = head.lower()
    if head in _SCHEMES and rest.startswith("//"):
        return Address(_SCHEMES[head], _stream(text))
    if head in _PREFIXED and (colon or head in ("pi", "usb")):
        return Address(head, _rest(head, rest))
    raise CameraUnsupported(
        f"'{redact(text)}' is no camera address." if text else "The camera address is empty.", f"Use {EXAMPLES}."
    )


def is_live(address: str) -> bool:
    """Whether frames of this address are of now. An address nobody understands counts as live."""
    try:
        return parse(address).live
    except CameraUnsupported:
        return True


def _stream(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        # A "/" or "#" in a password ends the host too early; the port is then no number.
        raise CameraUnsupported(
            f"The stream address '{redact(text)}' has a host or port that cannot be read.",
            "Write signs such as / ? # @ : in a user name or password as %2F %3F %23 %40 %3A.",
        ) from None
    if not host:
        raise CameraUnsupported(f"The stream address '{redact(text)}' names no host.", "Use rtsp://HOST/PATH.")
    return text


def _rest(kind: str, rest: str) -> str:
    rest = rest.strip()
    if kind in ("pi", "usb"):
        return rest or "0"
    if kind == "scripted":
        if rest.count(":") != 1 or not all(rest.split(":")):
            raise CameraUnsupported("A scripted camera names a module and a name in it.", "Use scripted:MODULE:NAME.")
        return rest
    if not rest:
        raise CameraUnsupported(f"'{kind}:' names no {kind}.", f"Use {kind}:PATH.")
    return rest


def redact(address: str) -> str:
    """The address without user name and password, in front of the host, in the path or in the query.

    Those of files and devices are unchanged. What is none, such as "rtsp:/user:password@host", may hold a password all
    the same; "…@" stands for what is left out of it.
    """
    prefix, _, nested = address.partition(":")
    if prefix.strip().lower() in _PREFIXED and "://" in nested:
        return f"{prefix}:{redact(nested)}"  # "file:rtsp://…" is a mistake, and holds a password all the same
    if "://" not in address:
        return address if _is_local(address) else _mistyped(address)
    scheme, _, rest = address.partition("://")
    try:
        parts = urlsplit(address)
        odd = parts.port is None and ":" in parts.netloc.rpartition("@")[2].rpartition("]")[2]
    except ValueError:
        odd = True
    if odd:
        # The host is unreadable, mostly because of a bare "/" in the password: keep only what follows the last "@".
        return f"{scheme}://{_without_query(rest.rpartition('@')[2])}"
    host = parts.netloc.rpartition("@")[2]
    path = _without_pairs(parts.path)
    return parts._replace(netloc=host, path=path, query=_redacted_query(parts), fragment="").geturl()


def masked(address: str) -> str:
    """The address as `redact` leaves it, and "…@" in front of the host where something secret was left out there."""
    redacted = redact(address)
    scheme, separator, rest = redacted.partition("://")
    if not separator:  # no stream's address
        return redacted
    host = rest.partition("/")[0].partition("?")[0]
    plain = address.lower().startswith(f"{scheme}{separator}{host}".lower())
    return redacted if plain else f"{scheme}://…@{rest}"


def is_masked(address: str) -> bool:
    """Whether it holds what stands for a secret, which no camera would take for one."""
    return "…@" in address or "=***" in address


def _is_local(address: str) -> bool:
    """Whether it names a file, a device or a module, whose names may hold any sign."""
    text = address.strip()
    return text.startswith("/") or text.partition(":")[0].lower() in _PREFIXED


def _mistyped(address: str) -> str:
    _, at, rest = address.rpartition("@")
    return _without_pairs(f"…@{rest}" if at else address)


def _without_pairs(path: str) -> str:
    return _SECRET_PAIR.sub(r"\1=***", path)


def redact_text(text: str, address: str = "") -> str:
    """A line of log or message with every stream address in it redacted, and the words of `address` that are secret."""
    text = _URL_IN_TEXT.sub(lambda match: redact(match.group()), text)
    for secret in secrets_of(address):
        text = text.replace(secret, "***")
    return text


def secrets_of(address: str) -> tuple[str, ...]:
    """Password and secret query values of an address, as written and decoded; only those long enough to search for."""
    prefix, _, nested = address.partition(":")
    if prefix.strip().lower() in _PREFIXED and "://" in nested:
        return secrets_of(nested)
    try:
        parts = urlsplit(address)
        found = [parts.password or ""]
    except ValueError:
        return ()
    found += [value for name, value in parse_qsl(parts.query) if _SECRET.search(name)]
    found += [pair[2] for pair in _SECRET_PAIR.finditer(parts.path)]
    spelt = {form for word in found for form in (word, unquote(word), quote(word, safe=""))}
    return tuple(sorted((form for form in spelt if len(form) >= 4), key=len, reverse=True))


def _redacted_query(parts: SplitResult) -> str:
    if not parts.query or not _SECRET.search(parts.query):
        return parts.query
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    return urlencode([(name, "***" if _SECRET.search(name) else value) for name, value in pairs], safe="*/")


def _without_query(rest: str) -> str:
    return rest.partition("?")[0].partition("#")[0]

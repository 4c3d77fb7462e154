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
# A password may hold quotes: up to its "@" they belong to the address.
_URL_IN_TEXT = re.compile(r"\b[a-z][a-z0-9+.-]*://(?:[^\s<>]*@)?[^\s'\"<>]+", re.IGNORECASE)
_NESTED_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*://|\s*(?:rtsps?|https?):/", re.IGNORECASE)
_PERCENT = "Write / ? # @ : % in a user name or password as %2F %3F %23 %40 %3A %25"


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
    if not re.sub("[\ud800-\udfff]", "", text).isprintable():  # those stand for bytes of a name that is no UTF-8
        raise CameraUnsupported(
            f"The camera address '{redact(text)}' holds a line break or another control character.",
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


def shows_one_scene(address: str) -> bool:
    """Whether frames of this address follow one another in one place; a folder's pictures are each of another."""
    try:
        return parse(address).kind != "folder"
    except CameraUnsupported:
        return True


def _stream(text: str) -> str:
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        # A "/" or "#" in a password ends the host too early; the port is then no number.
        raise CameraUnsupported(
            f"The stream address '{redact(text)}' has a host or port that cannot be read.", f"{_PERCENT}."
        ) from None
    if _hides_password(text):
        raise CameraUnsupported(
            f"The stream address '{redact(text)}' cannot be read: there is an @ behind its host.",
            f"{_PERCENT}, and an @ behind the host as %40.",
        )
    if not host:
        raise CameraUnsupported(f"The stream address '{redact(text)}' names no host.", "Use rtsp://HOST/PATH.")
    return text.replace(" ", "%20")


def _hides_password(address: str) -> bool:
    """Whether an "@" behind the host may end a password with a bare "/", "?" or "#" in it: "rtsp://me:12345/6@cam".

    An "@" in a password of the query, or behind a host without port and user, is taken for what it seems.
    """
    rest = address.partition("://")[2]
    end = re.search(r"[/?#]|$", rest)
    at = rest.rfind("@")
    if end is None or at < end.start() or ":" not in re.sub(r"^\[[^\]]*\]", "", rest[:at]):
        return False
    path, _, query = rest[end.start() :].partition("?")
    pairs = [pair.partition("=") for pair in re.split("[&;]", query) if "@" in pair]
    return len(path) < 2 or "@" in path or not all(_SECRET.search(name) and "@" not in name for name, _, _ in pairs)


def _rest(kind: str, rest: str) -> str:
    rest = rest.strip()
    if _NESTED_URL.match(rest):
        raise CameraUnsupported(
            f"'{kind}:' names something on this machine, and {redact(rest)} is an address in a network.",
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


def redact(address: str) -> str:
    """The address without user name and password, in front of the host, in the path or in the query.

    Those of files and devices are unchanged. What is none, such as "rtsp:/user:password@host", may hold a password all
    the same; "…@" stands for what is left out of it. Line breaks and control characters are shown as escapes.
    """
    return _printable(_redacted(address))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _redacted(address: str) -> str:
    prefix, _, nested = address.partition(":")
    if _NESTED_URL.match(nested):
        return f"{prefix}:{_redacted(nested)}"  # "auto:rtsp://…" is a mistake, and holds a password all the same
    if "://" not in address:
        return address if _is_local(address) else _mistyped(address)
    scheme, _, rest = address.partition("://")
    try:
        parts = urlsplit(address)
        odd = parts.port is None and ":" in parts.netloc.rpartition("@")[2].rpartition("]")[2]
    except ValueError:
        odd = True
    if odd or _hides_password(address):
        return f"{scheme}://{_behind_password(rest)}"
    host = parts.netloc.rpartition("@")[2]
    path = _without_pairs(parts.path)
    return parts._replace(netloc=host, path=path, query=_redacted_query(parts), fragment="").geturl()


def _behind_password(rest: str) -> str:
    """What may be shown where the host is unreadable, mostly because of a bare "/" in the password."""
    before, at, behind = rest.rpartition("@")
    if not at:  # "rtsp://user:pass/word": what is behind the colon was meant for a port, or is a password
        return f"{rest.partition(':')[0]}:…"
    if "=" in re.split("[?&;]", before)[-1]:  # the "@" may be part of a password in the query
        return "…"
    return _without_pairs(_without_query(behind))


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
    return "…" in address or "=***" in address


def _is_local(address: str) -> bool:
    """Whether it names a file, a device or a module, whose names may hold any sign."""
    text = address.strip()
    prefix, _, rest = text.partition(":")
    if prefix.lower() in ("pi", "usb") and re.match(r"[^/@]*:[^@]*@", rest):
        return False  # "usb:user:password@host"; names of devices hold no "@" behind a colon
    return text.startswith("/") or prefix.lower() in _PREFIXED


def _mistyped(address: str) -> str:
    _, at, rest = address.rpartition("@")
    return _without_pairs(f"…@{rest}" if at else address)


def _without_pairs(path: str) -> str:
    return _SECRET_PAIR.sub(r"\1=***", path)


def redact_text(text: str, address: str = "") -> str:
    """A line of log or message with every stream address in it redacted, and the words of `address` that are secret."""
    if "://" in address:  # before anything else: a password with a space in it ends what looks like an address
        text = text.replace(address, redact(address))
    for secret in secrets_of(address):
        text = text.replace(secret, "***")
    return _URL_IN_TEXT.sub(lambda match: redact(match.group()), text)


def secrets_of(address: str) -> tuple[str, ...]:
    """Password and secret query values of an address, as written and decoded; only those long enough to search for."""
    _, _, nested = address.partition(":")
    if _NESTED_URL.match(nested):
        return secrets_of(nested)
    found = []
    try:
        parts = urlsplit(address)
        found += [parts.password or ""]
        found += [value for name, value in parse_qsl(parts.query) if _SECRET.search(name)]
        found += [pair[2] for pair in _SECRET_PAIR.finditer(parts.path)]
        readable = parts.port is None or parts.port >= 0  # asked for its ValueError
    except ValueError:
        readable = False
    if not readable or _hides_password(address):
        whole = address.partition("://")[2].rpartition("@")[0].partition(":")[2]
        found += [whole, *re.split("[/?#@:]", whole)]
    spelt = {form for word in found for form in (word, unquote(word), quote(word, safe=""))}
    return tuple(sorted((form for form in spelt if len(form) >= 4), key=len, reverse=True))


def _redacted_query(parts: SplitResult) -> str:
    if not parts.query or not _SECRET.search(parts.query):
        return parts.query
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    return urlencode([(name, "***" if _SECRET.search(name) else value) for name, value in pairs], safe="*/")


def _without_query(rest: str) -> str:
    return rest.partition("?")[0].partition("#")[0]

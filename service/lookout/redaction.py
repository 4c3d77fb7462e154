"""Makes addresses of cameras and other services fit to be shown: without user names, passwords and tokens."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

# The part before the colon in addresses that name something on this machine.
LOCAL_KINDS = frozenset({"pi", "usb", "file", "folder", "scripted"})
# Cameras take passwords in the query as well: ".../snapshot.cgi?user=admin&pwd=1234"; some recorders in the path:
# "rtsp://host/user=admin_password=1234_channel=1".
_SECRET = re.compile(r"pass|pw|token|secret|auth|key|user|usr|login|sign", re.IGNORECASE)
_SECRET_PAIR = re.compile(rf"([^/?&;_=]*(?:{_SECRET.pattern})[^/?&;_=]*)=((?:(?!_[^/?&;_=]+=)[^/?&;])*)", re.IGNORECASE)
# A password may hold quotes: up to its "@" they belong to the address.
_URL_IN_TEXT = re.compile(r"\b[a-z][a-z0-9+.-]*://(?:[^\s<>]*@)?[^\s'\"<>]+", re.IGNORECASE)
# What follows the colon behind a host may be a part of a password that holds an "@" and a ":".
_ODD_PORT = re.compile(r"^([^/:\[]*):(?!\d*(?:/|$))[^/]*")
NESTED_URL = re.compile(r"\s*[a-z][a-z0-9+.-]*://|\s*(?:rtsps?|https?):/", re.IGNORECASE)


def redact(address: str) -> str:
    """Return the address without user name and password, whether before the host, in the path or in the query.

    Addresses of files and devices are unchanged. A malformed one, such as "rtsp:/user:password@host", may still contain
    a password; "…@" stands for what is left out of it. Line breaks and control characters are shown as escapes.
    """
    return _printable(_redacted(address))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)


def _redacted(address: str) -> str:
    prefix, _, nested = address.partition(":")
    if NESTED_URL.match(nested):
        return f"{prefix}:{_redacted(nested)}"  # "auto:rtsp://…" is a mistake, but may still contain a password
    if "://" not in address:
        return address if _is_local(address) else _mistyped(address)
    scheme, _, rest = address.partition("://")
    try:
        parts = urlsplit(address)
        odd = parts.port is None and ":" in parts.netloc.rpartition("@")[2].rpartition("]")[2]
    except ValueError:
        odd = True
    if odd or hides_password(address):
        return f"{scheme}://{_behind_password(rest)}"
    host = parts.netloc.rpartition("@")[2]
    path = _without_pairs(parts.path)
    return parts._replace(netloc=host, path=path, query=_redacted_query(parts), fragment="").geturl()


def _behind_password(rest: str) -> str:
    """Return what may be shown if the host cannot be parsed, mostly because of a bare "/" in the password."""
    before, at, behind = rest.rpartition("@")
    if not at:  # "rtsp://user:pass/word": the part after the colon is either a port or a password
        return f"{rest.partition(':')[0]}:…"
    if "=" in re.split("[?&;]", before)[-1]:  # the "@" may be part of a password in the query
        return "…"
    return _without_pairs(_ODD_PORT.sub(r"\1:…", _without_query(behind)))


def masked(address: str) -> str:
    """Return the address as `redact` does, with "…@" before the host if a secret was left out there."""
    redacted = redact(address)
    scheme, separator, rest = redacted.partition("://")
    if not separator:  # not the address of a stream
        return redacted
    host = rest.partition("/")[0].partition("?")[0]
    plain = address.lower().startswith(f"{scheme}{separator}{host}".lower())
    return redacted if plain else f"{scheme}://…@{rest}"


def is_masked(address: str) -> bool:
    """Return whether the address contains a placeholder for a secret, which no camera would accept."""
    return "…" in address or "=***" in address


def _is_local(address: str) -> bool:
    """Return whether the address names a file, a device or a module; such names may contain any character."""
    text = address.strip()
    prefix, _, rest = text.partition(":")
    if prefix.lower() in ("pi", "usb") and re.match(r"[^/@]*:[^@]*@", rest):
        return False  # "usb:user:password@host"; names of devices contain no "@" after a colon
    if re.match(r"//+[^/@]*:[^@]*@", text):
        return False  # "//user:password@host": an address without its scheme
    return text.startswith("/") or prefix.lower() in LOCAL_KINDS


def _mistyped(address: str) -> str:
    _, at, rest = address.rpartition("@")
    return _without_pairs(f"…@{rest}" if at else address)


def _without_pairs(path: str) -> str:
    return _SECRET_PAIR.sub(r"\1=***", path)


def redact_text(text: str, address: str = "") -> str:
    """Return a line of text with all stream addresses in it redacted, and with the secret words of `address`, too."""
    if address:  # before anything else: a password with a space in it ends what looks like an address
        text = text.replace(address, redact(address))
    for secret in secrets_of(address):
        text = text.replace(secret, "***")
    return _URL_IN_TEXT.sub(lambda match: redact(match.group()), text)


def secrets_of(address: str) -> tuple[str, ...]:
    """Return the secrets of an address, as written and decoded; only those that are long enough to search for."""
    _, _, nested = address.partition(":")
    if NESTED_URL.match(nested):
        return secrets_of(nested)
    found = []
    try:
        parts = urlsplit(address)
        found += [parts.password or ""]
        found += [value for name, value in parse_qsl(parts.query) if _SECRET.search(name)]
        found += [pair[2] for pair in _SECRET_PAIR.finditer(parts.path)]
        readable = parts.port is None or parts.port >= 0  # read only because it may raise ValueError
    except ValueError:
        readable = False
    mistyped = "://" not in address and not _is_local(address)
    if not readable or mistyped or hides_password(address):
        whole = re.split("://?", address, maxsplit=1)[-1].rpartition("@")[0].partition(":")[2]
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


def hides_password(address: str) -> bool:
    """Return whether an "@" after the host may end a password that contains "/", "?" or "#": "rtsp://me:12345/6@cam".

    An "@" in a password of the query, or after a host without port and user, does not count.
    """
    rest = address.partition("://")[2]
    end = re.search(r"[/?#]|$", rest)
    at = rest.rfind("@")
    if end is None or at < end.start() or ":" not in re.sub(r"^\[[^\]]*\]", "", rest[:at]):
        return False
    path, _, query = rest[end.start() :].partition("?")
    pairs = [pair.partition("=") for pair in re.split("[&;]", query) if "@" in pair]
    return len(path) < 2 or "@" in path or not all(_SECRET.search(name) and "@" not in name for name, _, _ in pairs)

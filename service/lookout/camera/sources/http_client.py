"""The HTTP client for pictures and streams, used by `classify`, snapshot addresses and streams.

Deadlines hold whatever the server does. User name and password are sent in a header, only to the host for which they
were given, and only after it has requested them. Web servers in cameras are often sloppy, so a response needs no more
than a status.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from lookout.camera.sources.connection import PORTS, Line, connect, silent, socket_timeout, unreachable
from lookout.camera.sources.http_login import Login
from lookout.camera.sources.refusal import refusal
from lookout.deadline import Deadline
from lookout.errors import CameraDenied, CameraError, CameraUnsupported
from lookout.redaction import redact

MAX_HEAD_BYTES = 65_536  # bytes
PIECE = 65_536
MAX_REDIRECTS = 10
MAX_ANSWERS = 30  # responses to one request: redirects, each of which may request the password
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STATUS = re.compile(rb"(?:HTTP/\d(?:\.\d)?|ICY) +(\d{3})")
_SAFE = "/%:=&?~+!$,;'@()*[]|"  # unchanged in a path; the rest is percent-encoded


@dataclass(slots=True)
class _Wire:
    """A connection. early: bytes that were read beyond a response's head. origin: scheme, host and port."""

    line: Line
    origin: tuple[str, str, int]
    shown: str
    parts: SplitResult
    early: bytearray = field(default_factory=bytearray)

    def more(self, deadline: Deadline) -> bytes:
        """Return the next bytes, none at the end. Raises TimeoutError or CameraError."""
        try:
            self.line.socket.settimeout(socket_timeout(deadline))
            return self.line.socket.recv(PIECE)
        except TimeoutError:
            raise
        except OSError as error:
            raise unreachable(self.shown, self.parts, error) from None

    def send(self, data: bytes, deadline: Deadline) -> None:
        try:
            self.line.socket.settimeout(socket_timeout(deadline))
            self.line.socket.sendall(data)
        except TimeoutError:
            raise
        except OSError as error:
            raise unreachable(self.shown, self.parts, error) from None

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.line.socket.close()


class Response:
    """A response whose body is read in pieces. headers: by lower-case name.

    arrived_at: when its head arrived, on the monotonic clock. shown: its address, without secrets.
    """

    def __init__(self, wire: _Wire, status: int, headers: dict[str, str], shown: str) -> None:
        self._wire, self.status, self.headers, self.shown = wire, status, headers, shown
        self.arrived_at = time.monotonic()
        self.type = headers.get("content-type", "").partition(";")[0].strip().lower()
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        # Some servers send a length even for a multipart stream, where it is meaningless.
        counts = (
            length.isascii() and length.isdecimal() and not self._chunked and not self.type.startswith("multipart/")
        )
        self.length = int(length) if counts else None
        self._left = 0 if status in (204, 304) else self.length
        self._chunk_left = 0
        self._ended = self._left == 0

    @property
    def finished(self) -> bool:
        """Whether the body was read to its end, so that the connection can be reused."""
        return self._ended and (self._left == 0 or self._chunked)

    def read(self, deadline: Deadline) -> bytes:
        """Return the next piece of the body, none at its end. Raises TimeoutError if nothing came, or CameraError."""
        while not self._ended:
            piece = self._chunk(deadline) if self._chunked else self._plain(deadline)
            if piece:
                return piece
        return b""

    def read_all(self, limit: int, deadline: Deadline) -> bytes:
        """Return the body, at most `limit` + 1 bytes. Raises TimeoutError at the deadline even if data keeps coming."""
        data = bytearray()
        while len(data) <= limit and (piece := self.read(deadline)):
            data += piece
            if deadline.passed:
                raise TimeoutError
        return bytes(data[: limit + 1])

    def close(self) -> None:
        self._ended = True
        self._wire.close()

    def _plain(self, deadline: Deadline) -> bytes:
        most = PIECE if self._left is None else min(PIECE, self._left)
        piece = self._some(most, deadline)
        if self._left is not None:
            self._left -= len(piece)
        self._ended = not piece or self._left == 0
        return piece

    def _chunk(self, deadline: Deadline) -> bytes:
        if self._chunk_left == 0:
            size = self._size_line(deadline)
            if not size:
                self._ended = True
                return b""
            self._chunk_left = size
        piece = self._some(min(PIECE, self._chunk_left), deadline)
        self._chunk_left -= len(piece)
        self._ended = not piece
        return piece

    def _size_line(self, deadline: Deadline) -> int:
        """Read the size of the next chunk in bytes; 0 after the last one, or if it cannot be read."""
        early = self._wire.early
        while True:
            while early[:2] == b"\r\n":
                del early[:2]
            end = early.find(b"\n")
            if end >= 0:
                words = bytes(early[:end]).partition(b";")[0].strip()
                del early[: end + 1]
                return int(words, 16) if re.fullmatch(rb"[0-9a-fA-F]{1,8}", words) else 0
            if len(early) > MAX_HEAD_BYTES or not (more := self._wire.more(deadline)):
                return 0
            early += more

    def _some(self, most: int, deadline: Deadline) -> bytes:
        early = self._wire.early
        if not early:
            early += self._wire.more(deadline)
        piece = bytes(early[:most])
        del early[:most]
        return piece


class HttpClient:
    """Requests one address repeatedly, over one connection if the server keeps it. Used by one thread.

    doubts: why certificates could not be trusted, one sentence each.
    """

    def __init__(self, address: str, *, any_certificate: bool = False) -> None:
        self._parts = urlsplit(address)
        self._shown = redact(address)
        self._any_certificate = any_certificate
        name, password = self._parts.username, self._parts.password
        self._login = None if name is None else Login(unquote(name), unquote(password or ""))
        self._kept: _Wire | None = None
        self.doubts: list[str] = []

    def get(self, deadline: Deadline, headers: Mapping[str, str] | None = None) -> Response:
        """Return the response with a status below 400, following redirects. Raises CameraError with the reason."""
        parts, seen = self._parts, set[str]()
        for _ in range(MAX_ANSWERS):
            try:
                response = self._asked(parts, headers or {}, deadline)
            except TimeoutError:
                raise silent(self._shown) from None
            target = response.headers.get("location")
            if response.status in _REDIRECTS and target:
                response.close()
                seen.add(parts.geturl())
                parts = self._redirected(parts, target, seen)
            elif response.status == 401 and self._may_log_in(parts) and self._can_answer(response):
                response.close()
            elif response.status >= 400:
                response.close()
                raise self._refused(parts, response)
            else:
                if self._login is not None:
                    self._login.accepted()
                return response
        raise self._redirect_loop()

    def keep(self, response: Response) -> None:
        """Finish with a response, and keep its connection for the next request if possible."""
        again = "close" not in response.headers.get("connection", "").lower()
        if response.finished and again:
            self._kept = response._wire
        else:
            response.close()

    def close(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _asked(self, parts: SplitResult, headers: Mapping[str, str], deadline: Deadline) -> Response:
        origin = _origin(parts)
        kept, self._kept = self._kept, None
        if kept is not None and kept.origin == origin:
            try:
                return self._exchanged(kept, parts, headers, deadline)
            except CameraError:
                pass  # the server has closed it in the meantime
        if kept is not None:
            kept.close()
        shown = redact(parts.geturl())
        line = connect(parts, shown, deadline, any_certificate=self._any_certificate)
        if line.doubt:
            doubt = f"The certificate of {parts.hostname} {line.doubt}, so what it sends may come from somebody else."
            self.doubts = [*dict.fromkeys([*self.doubts, doubt])]
        wire = _Wire(line, origin, shown, parts)
        try:
            return self._exchanged(wire, parts, headers, deadline)
        except BaseException:
            wire.close()
            raise

    def _exchanged(self, wire: _Wire, parts: SplitResult, headers: Mapping[str, str], deadline: Deadline) -> Response:
        path = quote(parts.path or "/", safe=_SAFE) + (f"?{quote(parts.query, safe=_SAFE)}" if parts.query else "")
        lines = {
            "Host": _host_header(parts),
            "User-Agent": "lookout",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            **headers,
        }
        if self._login is not None and self._may_log_in(parts) and (words := self._login.header("GET", path)):
            lines["Authorization"] = words
        text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        wire.send(f"GET {path} HTTP/1.1\r\n{text}\r\n".encode("ascii", "replace"), deadline)
        while True:
            status, found = _head(wire, deadline)
            if status >= 200:
                return Response(wire, status, found, wire.shown)

    def _may_log_in(self, parts: SplitResult) -> bool:
        """Whether name and password may be sent to this host: the one they were given for, or the same over TLS."""
        if self._login is None:
            return False
        own, here = _origin(self._parts), _origin(parts)
        return here == own or (own[0] == "http" and here == ("https", own[1], 443) and own[2] == 80)

    def _can_answer(self, response: Response) -> bool:
        """Whether the server's challenge can be answered, and the last answer was not refused."""
        assert self._login is not None
        return self._login.challenged(response.headers.get("www-authenticate", ""))

    def _refused(self, parts: SplitResult, response: Response) -> CameraError:
        asked = response.headers.get("www-authenticate", "")
        if response.status == 401 and self._login is not None and not self._may_log_in(parts):
            return CameraDenied(
                f"{self._shown} redirects to {redact(parts.geturl())}, which asks for a password, and gets none.",
                "Use that address itself, with user name and password.",
            )
        shown = redact(parts.geturl())
        return refusal(shown, parts.scheme.lower(), response.status, asked, with_login=self._may_log_in(parts))

    def _redirected(self, parts: SplitResult, target: str, seen: set[str]) -> SplitResult:
        try:
            found = urlsplit(urljoin(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), target.strip()))
            _ = found.port
        except ValueError:
            found = urlsplit("")
        if found.scheme.lower() not in ("http", "https") or not found.hostname:
            raise CameraUnsupported(
                f"{self._shown} redirects to {redact(found.geturl()) or 'nothing'}, which is not a web address.",
                "Look the stream's own address up in the camera's manual.",
            )
        found = found._replace(scheme=found.scheme.lower(), netloc=found.netloc.rpartition("@")[2], fragment="")
        if self._login is not None and _origin(found) == _origin(self._parts):
            found = found._replace(netloc=self._parts.netloc)
        if found.geturl() in seen or len(seen) > MAX_REDIRECTS:
            raise self._redirect_loop()
        return found

    def _redirect_loop(self) -> CameraError:
        return CameraUnsupported(f"{self._shown} redirects in circles.", "Open it in a browser to see where to.")


def _head(wire: _Wire, deadline: Deadline) -> tuple[int, dict[str, str]]:
    """Read status and headers; bytes after them stay in `wire.early`. Raises TimeoutError or CameraError."""
    early = wire.early
    while not (end := re.search(rb"\r?\n\r?\n", early)):
        more = wire.more(deadline)
        early += more
        if early[:2] == b"\xff\xd8" or early[:2] == b"--":
            return 200, {}  # a camera that sends pictures without any head
        if not more or len(early) > MAX_HEAD_BYTES or (len(early) > 8 and not early.startswith((b"HTTP", b"ICY"))):
            end = re.match(rb"(?s).*", early)
            break
        if deadline.passed:
            raise TimeoutError
    assert end is not None
    head = bytes(early[: end.start() or end.end()])
    del early[: end.end()]
    status = _STATUS.match(head)
    if status is None:
        raise CameraUnsupported(f"The server at {wire.shown} does not speak HTTP.", "Check the port.")
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines()[1:]:
        name, colon, value = line.partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return int(status[1]), headers


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or PORTS[scheme]


def _host_header(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2]
    with contextlib.suppress(UnicodeError):
        host = host.encode("idna").decode() if not host.isascii() else host
    return host

"""Why a stream does not open: OpenCV only says that it did not, so we ask the server ourselves, by hand."""

from __future__ import annotations

import re
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

from lookout.camera.address import redact
from lookout.deadline import bounded
from lookout.errors import CameraAbsent, CameraDenied, CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Deadline

ANSWER_BYTES = 8192
LEAST_S = 0.5  # for the probe, even when nothing is left of the caller's time
_PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_TLS = frozenset({"rtsps", "https"})


def reason(address: str, deadline: Deadline) -> CameraError:
    """The error to raise for a stream that did not open; never raises, done by the deadline or within LEAST_S."""
    shown = redact(address)
    until = Deadline(max(deadline.at, Deadline.after(LEAST_S).at))
    parts = urlsplit(address)
    try:
        answer = _asked(parts, until)
    except CameraError as error:
        return error
    except TimeoutError:
        return CameraSilent(
            f"{shown} accepts the connection and then says nothing.",
            "Restart the camera; check that the port is right.",
        )
    except ssl.SSLError:
        return CameraUnsupported(
            f"{shown} does not speak TLS there.", f"Try {parts.scheme.rstrip('s')}:// instead of {parts.scheme}://."
        )
    except OSError as error:
        return _unreachable(shown, parts, error)
    return _judged(shown, parts, answer)


def _asked(parts: SplitResult, deadline: Deadline) -> bytes:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme.lower()]
    family, address = _resolved(host, port, deadline)
    with socket.socket(family, socket.SOCK_STREAM) as line:
        line.settimeout(max(0.05, deadline.remaining()))
        line.connect(address)
        if parts.scheme.lower() in _TLS:
            context = ssl.create_default_context()
            # Cameras sign their own certificates; nothing secret is sent here, and FFmpeg does not check either.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(line, server_hostname=host) as safe:
                return _exchanged(safe, parts, deadline)
        return _exchanged(line, parts, deadline)


def _exchanged(line: socket.socket, parts: SplitResult, deadline: Deadline) -> bytes:
    line.sendall(_request(parts))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < ANSWER_BYTES:
        line.settimeout(max(0.05, deadline.remaining()))
        piece = line.recv(ANSWER_BYTES)
        if not piece:
            break
        answer += piece
        if deadline.passed:
            raise TimeoutError
    return answer


def _request(parts: SplitResult) -> bytes:
    """Asks without credentials: FFmpeg has tried them, and they need not cross the network once more."""
    host = parts.netloc.rpartition("@")[2]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if parts.scheme.lower().startswith("rtsp"):
        return f"DESCRIBE rtsp://{host}{path} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode()
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()


def _judged(shown: str, parts: SplitResult, answer: bytes) -> CameraError:
    rtsp = parts.scheme.lower().startswith("rtsp")
    status = re.match(rb"(RTSP|HTTP)/\d\.\d (\d{3})", answer)
    if status is None or (status[1] == b"RTSP") != rtsp:
        protocol = "RTSP" if rtsp else "HTTP"
        return CameraUnsupported(f"What answers at {shown} does not speak {protocol}.", "Check the port.")
    code = int(status[2])
    if code in (401, 403, 407):
        if parts.username:
            return CameraDenied(
                f"{shown} refuses the user name or password.",
                "Correct them; write signs such as / ? # @ : in them as %2F %3F %23 %40 %3A.",
            )
        return CameraDenied(
            f"{shown} wants a user name and password.", f"Use {parts.scheme}://USER:PASSWORD@HOST/PATH as address."
        )
    if code in (404, 410, 454):
        return CameraAbsent(f"The server of {shown} knows no such path.", "Look the path up in the camera's manual.")
    if code >= 400:
        return CameraError(f"The server of {shown} answers with error {code}.", "Restart the camera.")
    return _not_a_stream(shown, answer) if not rtsp else _undecodable(shown)


def _not_a_stream(shown: str, answer: bytes) -> CameraError:
    kind = re.search(rb"^content-type:\s*([^\s;]+)", answer, re.IGNORECASE | re.MULTILINE)
    name = kind[1].decode("ascii", "replace").lower() if kind else ""
    if name.startswith("image/"):
        return CameraUnsupported(
            f"{shown} gives a single picture, not a stream.", "Use the camera's MJPEG or RTSP address."
        )
    if name.startswith("text/"):
        return CameraUnsupported(
            f"{shown} is a web page, not a stream.", "Look the stream's own address up in the camera's manual."
        )
    return _undecodable(shown)


def _undecodable(shown: str) -> CameraError:
    return CameraUnsupported(
        f"{shown} answers, but sends no video that can be decoded.", "Choose H.264 or MJPEG in the camera's settings."
    )


def _unreachable(shown: str, parts: SplitResult, error: OSError) -> CameraError:
    if isinstance(error, socket.gaierror):
        return CameraAbsent(f"The host name {parts.hostname} is not known here.", "Check it, or use the IP address.")
    if isinstance(error, ConnectionRefusedError):
        return CameraAbsent(
            f"Nothing listens at {shown}.", "Check that the camera is on, its stream is enabled, and the port."
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError):
        return CameraError(f"{shown} breaks the connection off.", "Restart the camera.")
    return CameraAbsent(
        f"{shown} cannot be reached: {error.strerror or error}.", "Check the network and that the camera is on."
    )


def _resolved(host: str, port: int, deadline: Deadline) -> tuple[int, tuple[object, ...]]:
    """The first address of a host. Name look-up cannot be given a time-out, so a thread does it that may be left."""

    def look_up() -> tuple[int, tuple[object, ...]]:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return family, address

    try:
        return bounded(look_up, deadline, "name look-up")
    except TimeoutError:
        raise CameraSilent(
            f"The name server does not answer for {host}.", "Check the network, or use the IP address."
        ) from None
    except ValueError:  # what no name server is asked, such as a part of more than 63 letters
        raise socket.gaierror(socket.EAI_NONAME, "no valid host name") from None

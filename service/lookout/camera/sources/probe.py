"""Finds out why an RTSP stream does not open, by a request of our own, since FFmpeg does not report the reason."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from lookout.camera.sources.connection import Line, connect, silent, socket_timeout, unreachable
from lookout.camera.sources.refusal import refusal
from lookout.deadline import Deadline
from lookout.errors import CameraError, CameraUnsupported
from lookout.redaction import redact

ANSWER_BYTES = 8192
MIN_PROBE_S = 0.5  # for the probe, even if the caller's deadline has passed


def reason(address: str, deadline: Deadline) -> CameraError:
    """Return the error for a stream that did not open, by the deadline or within MIN_PROBE_S. Never raises."""
    shown = redact(address)
    until = Deadline(max(deadline.at, Deadline.after(MIN_PROBE_S).at))
    parts = urlsplit(address)
    try:
        # Nothing secret is sent here, and FFmpeg does not check certificates either.
        line = connect(parts, shown, until, any_certificate=True)
        with line.socket:
            answer = _exchanged(line, parts, until)
    except CameraError as error:
        return error
    except TimeoutError:
        return silent(shown)
    except OSError as error:
        return unreachable(shown, parts, error)
    return _judged(shown, parts, answer)


def _exchanged(line: Line, parts: SplitResult, deadline: Deadline) -> bytes:
    line.socket.settimeout(socket_timeout(deadline))
    line.socket.sendall(_request(parts))
    answer = b""
    while b"\r\n\r\n" not in answer and len(answer) < ANSWER_BYTES:
        line.socket.settimeout(socket_timeout(deadline))
        piece = line.socket.recv(ANSWER_BYTES)
        if not piece:
            break
        answer += piece
        if deadline.passed:
            raise TimeoutError
    return answer


def _request(parts: SplitResult) -> bytes:
    """The request, without credentials: FFmpeg has tried them, and they need not cross the network again."""
    host = parts.netloc.rpartition("@")[2]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return f"DESCRIBE rtsp://{host}{path} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode()


def _judged(shown: str, parts: SplitResult, answer: bytes) -> CameraError:
    status = re.match(rb"RTSP/\d\.\d (\d{3})", answer)
    if status is None:
        return CameraUnsupported(f"The server at {shown} does not speak RTSP.", "Check the port.")
    code = int(status[1])
    if code >= 400:
        asked = re.findall(rb"^www-authenticate:\s*(.*?)\s*$", answer, re.IGNORECASE | re.MULTILINE)
        words = ", ".join(line.decode("latin-1") for line in asked)
        return refusal(shown, parts.scheme.lower(), code, words, with_login=bool(parts.username))
    return CameraUnsupported(
        f"{shown} answers, but sends no video that can be decoded.", "Choose H.264 or MJPEG in the camera's settings."
    )

"""TCP and TLS connections to cameras, with a deadline and one-sentence errors."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult

from lookout.deadline import Deadline, run_with_deadline
from lookout.errors import CameraAbsent, CameraError, CameraSilent, CameraUnsupported

PORTS = {"rtsp": 554, "rtsps": 322, "http": 80, "https": 443}
_TLS = frozenset({"rtsps", "https"})
_BRIEFLY_S = 0.05  # the minimum for a call made after the deadline, enough for data that has arrived
# OpenSSL's error numbers, in words.
_CERTIFICATES = {
    10: "has expired",
    18: "is signed by the camera itself",
    19: "is signed by an authority that this machine does not know",
    20: "is signed by an authority that this machine does not know",
    21: "is signed by an authority that this machine does not know",
    62: "is for another host name",
    64: "is for another address",
}


@dataclass(frozen=True, slots=True)
class Line:
    """An open connection. doubt: why its certificate cannot be trusted; "" if it can, or if there is none."""

    socket: socket.socket
    doubt: str = ""


def connect(parts: SplitResult, shown: str, deadline: Deadline, *, any_certificate: bool = False) -> Line:
    """Connect to the address's host. shown: the address for messages.

    Cameras sign their own certificates. One that cannot be verified is accepted with a `doubt` in the local network,
    and anywhere with `any_certificate`. Across the internet it is refused, since the password would go to whichever
    server answers. Raises CameraError with the reason, and TimeoutError if the server does not respond once connected.
    """
    scheme = parts.scheme.lower()
    port = parts.port or PORTS[scheme]
    try:
        plain = _connected(parts.hostname or "", port, deadline)
        if scheme not in _TLS:
            return Line(plain)
        public = _is_public(plain)
        try:
            return Line(_secured(plain, parts.hostname or "", deadline, check=True))
        except ssl.SSLCertVerificationError as error:
            doubt = _CERTIFICATES.get(error.verify_code, "cannot be verified")
            if public and not any_certificate:
                raise CameraUnsupported(
                    f"The certificate of {shown} {doubt}, so somebody else may be answering.",
                    'Correct the address or the certificate; camera.controls = { certificate = "any" } accepts it.',
                ) from None
        again = _connected(parts.hostname or "", port, deadline)
        return Line(_secured(again, parts.hostname or "", deadline, check=False), doubt)
    except ssl.SSLError:
        raise CameraUnsupported(
            f"{shown} does not speak TLS there.", f"Try {scheme.rstrip('s')}:// instead of {scheme}://."
        ) from None
    except TimeoutError:
        raise
    except OSError as error:
        raise unreachable(shown, parts, error) from None


def unreachable(shown: str, parts: SplitResult, error: OSError) -> CameraError:
    """The error to raise for a network error."""
    if isinstance(error, socket.gaierror):
        return CameraAbsent(f"The host name {parts.hostname} is not known here.", "Check it, or use the IP address.")
    if isinstance(error, ConnectionRefusedError):
        return CameraAbsent(
            f"Nothing listens at {shown}.", "Check that the camera is on, its stream is enabled, and the port."
        )
    if isinstance(error, ConnectionResetError | BrokenPipeError | ssl.SSLEOFError):
        return CameraError(f"{shown} closed the connection.", "Restart the camera.")
    return CameraAbsent(
        f"{shown} cannot be reached: {error.strerror or type(error).__name__}.",
        "Check the network and that the camera is on.",
    )


def silent(shown: str) -> CameraSilent:
    """The error for a server that accepts the connection but does not respond."""
    return CameraSilent(
        f"{shown} accepts the connection and then sends nothing.",
        "Restart the camera; check that the port is right.",
    )


def socket_timeout(deadline: Deadline) -> float:
    """The timeout in seconds for a socket's next call; never 0 or None, which would mean non-blocking or forever."""
    return max(_BRIEFLY_S, deadline.remaining())


def _connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Connect to the first of the host's addresses that accepts; a camera may not listen on its IPv6 address."""
    failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
    for family, address in _resolved(host, port, deadline):
        line = socket.socket(family, socket.SOCK_STREAM)
        try:
            line.settimeout(socket_timeout(deadline))
            line.connect(address)
        except OSError as error:
            line.close()
            failure = error
            if deadline.passed:
                break
        else:
            return line
    raise failure


def _secured(line: socket.socket, host: str, deadline: Deadline, *, check: bool) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    if not check:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    line.settimeout(socket_timeout(deadline))
    try:
        return context.wrap_socket(line, server_hostname=host)
    except BaseException:
        with contextlib.suppress(OSError):
            line.close()
        raise


def _is_public(line: socket.socket) -> bool:
    try:
        return ipaddress.ip_address(str(line.getpeername()[0]).partition("%")[0]).is_global
    except (OSError, ValueError):
        return True


def _resolved(host: str, port: int, deadline: Deadline) -> list[tuple[int, tuple[object, ...]]]:
    """Resolve a host's addresses. Name look-up has no timeout, so it runs on a thread that may be abandoned."""

    def look_up() -> list[tuple[int, tuple[object, ...]]]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [(family, address) for family, _, _, _, address in found]

    try:
        return run_with_deadline(look_up, deadline, "name look-up")
    except TimeoutError:
        raise CameraSilent(
            f"The name server does not answer for {host}.", "Check the network, or use the IP address."
        ) from None
    except ValueError:  # names that cannot be looked up, such as one with a part of more than 63 letters
        raise socket.gaierror(socket.EAI_NONAME, "no valid host name") from None

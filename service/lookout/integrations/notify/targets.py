"""Where notices go: a webhook, a local program, or any service that Apprise supports. Each blocks, with a deadline."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import deque
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from lookout.errors import LookoutError, SettingInvalid
from lookout.integrations.notify.notice import Notice
from lookout.integrations.packages import APPRISE
from lookout.settings.integrations import NotifyTarget
from lookout.system.regular_files import read_regular

TIMEOUT_S = 10.0
APPRISE_S = 30.0
_PER_MINUTE = 30
_MAX_SECRET_BYTES = 4096
_LOCAL = (".local", ".lan", ".home", ".home.arpa", ".internal", ".localdomain", ".fritz.box")


class NotDelivered(LookoutError):
    """A target did not accept a notice."""

    code = "notice_not_delivered"
    title = "The notice did not arrive"
    status = 502


class ReceiverGone(NotDelivered):
    """A webhook has answered that it accepts no more notices."""

    code = "receiver_gone"
    title = "The webhook takes no more notices"


class Target(Protocol):
    """is_kept: whether a notice that did not arrive is retried, even after a restart."""

    is_kept: bool

    def check(self) -> None:
        """Return at once. Raises PackageMissing if it is already known that nothing can be sent."""
        ...

    def send(self, notice: Notice) -> None:
        """Send the notice. Raises NotDelivered, PackageMissing or SettingInvalid."""
        ...

    def close(self) -> None: ...


def target_of(settings: NotifyTarget, address: str) -> Target:
    """Return the target for its settings. address: the URL of this Lookout, which becomes a webhook's source."""
    if settings.webhook is not None:
        return Webhook(settings.webhook.get_secret_value(), settings.secret_file, address)
    if settings.exec:
        return Program(settings.exec)
    assert settings.url_file is not None
    return Apprise(settings.url_file)


class Webhook:
    """Sends a CloudEvent 1.0 in structured mode. Follows no redirects: only the settings file may name receivers."""

    is_kept = True

    def __init__(self, url: str, secret_file: Path | None, source: str) -> None:
        self._url, self._secret_file, self._source = urlsplit(url), secret_file, source

    def send(self, notice: Notice) -> None:
        body = json.dumps(self._event(notice), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8", "User-Agent": "lookout"}
        if self._secret_file is not None:
            headers["Lookout-Signature"] = signature(_first_line(self._secret_file), int(time.time()), body)
        host = self._url.hostname or ""
        try:
            connection = _connect(host, self._url.port, tls=self._url.scheme == "https")
            try:
                path = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
                connection.request("POST", path, body, headers)
                status = connection.getresponse().status
            finally:
                connection.close()
        except (OSError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise NotDelivered(f"{host} cannot be reached ({why}).", "It is tried again.") from error
        if not 200 <= status < 300:
            if status == http.client.GONE:
                raise ReceiverGone(f"{host} takes no more notices ({status}).", "Take it out of the settings.")
            raise NotDelivered(f"{host} answered {status}.", "It is tried again.")

    def check(self) -> None:
        pass

    def close(self) -> None:
        pass

    def _event(self, notice: Notice) -> dict[str, object]:
        return {
            "specversion": "1.0",
            "id": notice.id,
            "source": self._source,
            "type": "lookout.notice",
            "subject": notice.rule,
            "time": notice.time,
            "datacontenttype": "application/json",
            "data": notice.data(),
        }


def signature(secret: bytes, moment: int, body: bytes) -> str:
    """Return the HMAC-SHA256 over "moment.body"; the time (Unix seconds) is included against replays."""
    digest = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"


def _connect(host: str, port: int | None, *, tls: bool) -> http.client.HTTPConnection:
    """Connect to an address that was checked; resolving the name only once prevents DNS rebinding.

    Raises OSError.
    """
    port = port or (443 if tls else 80)
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    address = infos[0][4]
    if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global and not _names_local(host):
        raise PermissionError(0, "a public name that means a private address is refused")
    sock = socket.create_connection((str(address[0]), port), TIMEOUT_S)
    try:
        if tls:
            sock = ssl.create_default_context().wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise
    connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    connection.sock = sock
    return connection


def _names_local(host: str) -> bool:
    """Whether the host is private by its own form: a numeric address, or a name that only exists locally."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.lower().rstrip(".").endswith(_LOCAL)
    return True


class Program:
    """Runs a program on this machine: no shell, the notice as JSON on standard input, a clean environment."""

    is_kept = False

    def __init__(self, command: list[str]) -> None:
        self._command = command
        self._started: deque[float] = deque(maxlen=_PER_MINUTE)

    def send(self, notice: Notice) -> None:
        now = time.monotonic()
        if len(self._started) == _PER_MINUTE and now - self._started[0] < 60:
            raise NotDelivered(f"{self._command[0]} was started {_PER_MINUTE} times within a minute.", "Wait a moment.")
        self._started.append(now)
        try:
            process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={"PATH": os.defpath, "LANG": "C.UTF-8"}, cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise NotDelivered(
                f"{self._command[0]} cannot be started ({error.strerror}).", "Check notify.targets."
            ) from error
        try:
            process.communicate(json.dumps(notice.data()).encode(), TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise NotDelivered(f"{self._command[0]} took more than {TIMEOUT_S:g} s and was ended.") from None
        if process.returncode != 0:
            raise NotDelivered(f"{self._command[0]} ended with status {process.returncode}.")

    def check(self) -> None:
        pass

    def close(self) -> None:
        pass


class Apprise:
    """Runs Apprise, which takes 40 MB, in its own process, which exits after a minute without a notice."""

    is_kept = True

    def __init__(self, url_file: Path) -> None:
        self._url_file = url_file
        self._child: subprocess.Popen[bytes] | None = None

    def send(self, notice: Notice) -> None:
        self.check()
        url = _first_line(self._url_file).decode("utf-8", "replace")
        picture = base64.b64encode(notice.picture).decode() if notice.picture else None
        body = f"{notice.text}\n{notice.url}" if notice.url else notice.text
        line = json.dumps({"url": url, "title": notice.title, "body": body, "picture": picture}).encode() + b"\n"
        try:
            child = self._running()
            answer = _exchange(child, line)
        except OSError as error:
            self.close()
            raise NotDelivered("Apprise's process ended.", "It is tried again.") from error
        if answer != b"ok":
            raise NotDelivered(f"Apprise could not send it: {answer.decode('utf-8', 'replace')}.", "It is tried again.")

    def check(self) -> None:
        """Raises PackageMissing if Apprise is not installed."""
        if not APPRISE.is_there():
            raise APPRISE.missing()

    def close(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None or self._child.poll() is not None:
            self.close()
            self._child = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("apprise_child.py"))],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
            )  # fmt: skip
        return self._child


def _exchange(child: subprocess.Popen[bytes], line: bytes) -> bytes:
    """Send a line to the child and return its reply. Raises OSError if the child exits or takes too long."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(line)
    os.set_blocking(child.stdout.fileno(), False)
    until, answer = time.monotonic() + APPRISE_S, b""
    while not answer.endswith(b"\n"):
        if time.monotonic() > until or child.poll() is not None:
            raise TimeoutError
        time.sleep(0.02)
        answer += child.stdout.read(4096) or b""
    return answer.strip()


def _first_line(path: Path) -> bytes:
    """Return the first line of the file. Raises SettingInvalid."""
    try:
        return read_regular(path, _MAX_SECRET_BYTES).split(b"\n", 1)[0].strip()
    except OSError as error:
        raise SettingInvalid(
            f"{path}, which notify.targets names, cannot be read ({error.strerror}).",
            "Let the service's user read it.",
        ) from error

"""Small real servers: an MJPEG camera, one that never answers, one that answers as scripted, and an RTSP server."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.ports import free_port

Handler = Callable[[socket.socket, threading.Event], None]
BOUNDARY = b"--frame\r\n"


def jpeg(pixels: NDArray[np.uint8]) -> bytes:
    good, data = cv2.imencode(".jpg", pixels)
    assert good
    return data.tobytes()


def part(pixels: NDArray[np.uint8]) -> bytes:
    """One part of an MJPEG stream."""
    data = jpeg(pixels)
    return BOUNDARY + b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(data), data)


class _EachRequest:
    """Answers one request after another on a connection, as long as the client keeps it."""

    server: Server

    def __init__(self, answer: Callable[[socket.socket, threading.Event, bytes], None]) -> None:
        self._answer = answer

    def __call__(self, connection: socket.socket, stop: threading.Event) -> None:
        request = self.server.requests[-1]
        while request and not stop.is_set():
            self._answer(connection, stop, request)
            request = connection.recv(4096)
            self.server.requests += [request] if request else []


def each_request(answer: Callable[[socket.socket, threading.Event, bytes], None]) -> Handler:
    """A handler that is called for each request of a connection, with what was asked."""
    return _EachRequest(answer)


class Server:
    """Accepts connections and runs `handle(connection, stop)` in a thread for each."""

    def __init__(self, handle: Handler, *, reads: bool = True) -> None:
        """reads: the request is read, and kept in `requests`, before `handle` is called."""
        self._handle, self._reads = handle, reads
        self.stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self.requests: list[bytes] = []
        self.connections = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self.connections += 1
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5)
            if self._reads:
                self.requests.append(connection.recv(4096))
            if isinstance(self._handle, _EachRequest):
                self._handle.server = self
            self._handle(connection, self.stop)

    def close(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(6)
        self._listener.close()


@contextlib.contextmanager
def serving(handle: Handler, *, reads: bool = True) -> Iterator[Server]:
    server = Server(handle, reads=reads)
    try:
        yield server
    finally:
        server.close()


@contextlib.contextmanager
def mjpeg(
    pixels: NDArray[np.uint8],
    *,
    frames: int | None = None,
    fps: float = 20,
    then_hang_up: bool = False,
    locked: bool = False,
) -> Iterator[Server]:
    """An MJPEG camera. After `frames` frames it falls silent, or hangs up. locked: it wants some password."""

    def handle(connection: socket.socket, stop: threading.Event) -> None:
        if locked and b"Authorization: Basic" not in server.requests[-1]:
            connection.sendall(b'HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="cam"\r\n\r\n')
            return
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n")
        picture, sent = part(pixels), 0
        while (frames is None or sent < frames) and not stop.wait(1 / fps):
            connection.sendall(picture)
            sent += 1
        if not then_hang_up:
            stop.wait(30)

    with serving(handle) as server:
        yield server


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[Server]:
    """Answers every request with these bytes and hangs up."""
    with serving(lambda connection, _: connection.sendall(answer)) as server:
        yield server


@contextlib.contextmanager
def silent() -> Iterator[Server]:
    """Accepts, reads the request, and never answers."""

    def handle(_: socket.socket, stop: threading.Event) -> None:
        stop.wait(30)

    with serving(handle) as server:
        yield server


@contextlib.contextmanager
def rtsp() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """GStreamer's RTSP server with /red, /green, /blue and /locked (user cat, password m1aow-m1aow)."""
    port = free_port()
    script = Path(__file__).with_name("rtsp_server.py")
    with subprocess.Popen(
        ["/usr/bin/python3", str(script), str(port)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().strip() == "ready"
            yield port, process
        finally:
            process.kill()

"""An MJPEG camera on the network that stalls on demand, and a proxy that loses what passes through it."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections.abc import Iterator

import numpy as np

from tests.camera.servers import jpeg, serving

FPS = 15
_HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"


class Tap:
    """Steers the camera. mode: "ok"; "stall" (connections stay open and say nothing); "corrupt" (rubbish for JPEGs)."""

    def __init__(self, port: int) -> None:
        self.port, self.mode = port, "ok"


@contextlib.contextmanager
def network_camera() -> Iterator[Tap]:
    """A new picture of noise, 15 times a second, to everybody who connects."""

    def handle(connection: socket.socket, stop: threading.Event) -> None:
        noise = np.random.default_rng()
        while tap.mode == "stall" and not stop.wait(0.02):
            pass
        connection.sendall(_HEAD)
        while not stop.wait(1 / FPS):
            if tap.mode == "stall":
                continue
            picture = jpeg(np.repeat(np.repeat(noise.integers(0, 256, (30, 40, 3), np.uint8), 8, 0), 8, 1))
            if tap.mode == "corrupt":
                picture = picture[:200] + noise.bytes(len(picture) - 200)
            connection.sendall(
                b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n" % (len(picture), picture)
            )

    tap = Tap(0)
    with serving(handle) as server:
        tap.port = server.port
        try:
            yield tap
        finally:
            tap.mode = "ok"


class Proxy:
    """Passes TCP on to a port. mode: "pass"; "swallow" (takes everything, passes nothing on); "lossy" (loses runs of
    bytes in the middle of the stream); "cut" (ends every connection).
    """

    def __init__(self, target: int) -> None:
        self.mode = "pass"
        self._target = target
        self._stop = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._target), 5) as camera:
            there = threading.Thread(target=self._pump, args=(client, camera), daemon=True)
            there.start()
            self._pump(camera, client)
            there.join(5)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        loss = random.Random(1)
        source.settimeout(0.05)
        while not self._stop.is_set() and self.mode != "cut":
            try:
                data = source.recv(4096)
            except TimeoutError:
                continue
            except OSError:
                break
            if not data:
                break
            if self.mode == "swallow":
                continue
            if self.mode == "lossy" and loss.random() < 0.2:
                at = loss.randrange(len(data))
                data = data[:at] + data[at + loss.randrange(1, 500) :]
            with contextlib.suppress(OSError):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def proxy(target: int) -> Iterator[Proxy]:
    running = Proxy(target)
    try:
        yield running
    finally:
        running.close()

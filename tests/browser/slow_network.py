"""A network between browser and service that carries a fixed number of bytes a second for all connections together."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time

# What lies between a server and a slow link: a router's buffer, filled as fast as the server sends.
BUFFER_BYTES = 32 * 1024
_PIECE = 512


class SlowNetwork:
    """A proxy on loopback. `url` ends in a slash. What it does may be changed while it runs.

    upgrades: False: it answers a WebSocket's request itself, as many proxies do. events: False: it keeps server-sent
    events back, as proxies do that collect an answer before they pass it on.
    """

    def __init__(self, target_port: int, bytes_per_s: float, latency_s: float = 0.05) -> None:
        """bytes_per_s: towards the browser, shared by all connections."""
        self.bytes_per_s = bytes_per_s
        self.upgrades = True
        self.events = True
        self.carried = 0
        self._target = target_port
        self._latency_s = latency_s
        self._credit = 0.0  # bytes that could have gone over while this machine was busy with other things
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="slow network", daemon=True)
        self._thread.start()
        assert self._ready.wait(10.0)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(10.0)

    async def _run(self) -> None:
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        self._link = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port: int = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._ready.set()
        await self._stopping.wait()
        server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, browser: asyncio.StreamReader, to_browser: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            service, to_service = await asyncio.open_connection("127.0.0.1", self._target, limit=BUFFER_BYTES)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._upwards(browser, to_service, to_browser))
                    group.create_task(self._downwards(service, to_browser))
            except* (OSError, _Refused):
                pass
            finally:
                to_service.close()
                to_browser.close()

    async def _upwards(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, back: asyncio.StreamWriter
    ) -> None:
        while data := await source.read(65_536):
            if not self.upgrades and b"upgrade: websocket" in data.lower():
                back.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await back.drain()
                raise _Refused
            await asyncio.sleep(self._latency_s)
            sink.write(data)
            await sink.drain()
        sink.write_eof()

    async def _downwards(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_PIECE):
            if not self.events and b"text/event-stream" in data:
                await asyncio.sleep(3600)
            await self._carry(len(data))
            self.carried += len(data)
            sink.write(data)
            await sink.drain()
        sink.write_eof()

    async def _carry(self, size: int) -> None:
        """Wait for the one link, and then for that many bytes to go over it at the rate of each moment."""
        async with self._link:
            before = time.monotonic()
            while self._credit < size:
                await asyncio.sleep(min((size - self._credit) / self.bytes_per_s, 0.05))
                self._credit += (time.monotonic() - before) * self.bytes_per_s
                before = time.monotonic()
            self._credit = min(self._credit - size, 0.1 * self.bytes_per_s)


class _Refused(Exception):
    """This connection was refused by the proxy itself."""

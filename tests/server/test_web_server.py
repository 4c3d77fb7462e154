"""The web server's own loop: what it costs while nobody asks for anything, and how soon it stops."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from lookout.server.web_server import WebServer, configure
from lookout.settings.schema import ServerSettings


class _Counted(WebServer):
    ticks = 0

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    del scope, receive, send


@pytest.fixture
def server() -> _Counted:
    config = configure(_nothing, ServerSettings(port=0))
    config.lifespan = "off"
    config.load()
    return _Counted(config, asyncio.Event())


async def test_an_idle_server_wakes_once_a_second(server: _Counted) -> None:
    running = asyncio.create_task(server.main_loop())
    await asyncio.sleep(0.8)
    assert server.ticks == 1
    server._stopping.set()
    await running


async def test_a_stop_does_not_wait_for_the_next_tick(server: _Counted) -> None:
    running = asyncio.create_task(server.main_loop())
    await asyncio.sleep(0.05)
    begun = time.monotonic()
    server._stopping.set()
    await running
    assert time.monotonic() - begun < 0.5


async def test_uvicorn_s_own_flag_ends_the_server_too(server: _Counted) -> None:
    server.should_exit = True
    await asyncio.wait_for(server.main_loop(), 0.5)

"""Lookouts that announce themselves are found, on this machine's loopback interface, by a browser of zeroconf's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lookout.settings.schema import Settings

from tests.cli.conftest import Run, lookout  # noqa: F401 - a fixture

pytest.importorskip("zeroconf", reason="needs zeroconf (pip install zeroconf)")

from lookout.integrations.mdns import browse
from lookout.integrations.mdns.browse import Found
from lookout.integrations.mdns.integration import Mdns

LOOPBACK = ["127.0.0.1"]
KITCHEN = Found("Kitchen", "192.0.2.7", 8642, "http", "/", "0.2.0")


def parts(name: str, address: str) -> Any:
    settings = Settings.model_validate({"server": {"name": name, "announce": True}})
    return SimpleNamespace(address=address, control=SimpleNamespace(loaded=SimpleNamespace(settings=settings)))


async def announced(one: Mdns) -> None:
    await one.start()
    async with asyncio.timeout(20):
        while one.status().status != "ok":
            assert one.status().status != "failed" or "multicast" not in one.status().detail
            await asyncio.sleep(0.05)


async def test_two_of_one_name_are_both_found_and_leave_with_a_farewell() -> None:
    first = Mdns(parts("Küche. Nord", "http://pi.local:8642/"), LOOPBACK)
    second = Mdns(parts("Küche. Nord", "https://pi.local:8643/cam/"), LOOPBACK)
    await announced(first)
    await announced(second)
    try:
        found = await asyncio.to_thread(browse.find, 1.5, LOOPBACK)
        assert [(one.port, one.address) for one in found] == [
            (8642, "http://127.0.0.1:8642/"),
            (8643, "https://127.0.0.1:8643/cam/"),
        ]
        assert {one.name for one in found} == {"Küche. Nord"}
    finally:
        await first.stop()
        await second.stop()
    assert await asyncio.to_thread(browse.find, 0.5, LOOPBACK) == []


async def test_one_that_only_this_machine_can_reach_says_so() -> None:
    local = Mdns(parts("", "http://127.0.0.1:8642/"))
    await local.start()
    assert local.status().status == "failed"
    assert "server.host" in local.status().remedy
    assert local.status().code == "only_local"
    await local.stop()


Answer = Callable[..., list[Found]]


def answering(monkeypatch: pytest.MonkeyPatch, *found: Found) -> None:
    monkeypatch.setattr(browse, "find", lambda seconds: list(found) if seconds else [])


def test_they_are_listed_for_people_and_programs(lookout: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    answering(monkeypatch, KITCHEN)
    assert "http://192.0.2.7:8642/" in lookout("find").stdout
    assert json.loads(lookout("find", "--json").stdout)[0]["name"] == "Kitchen"


def test_prometheus_gets_them_and_keeps_the_last_list(
    lookout: Run,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "lookout.json"
    answering(monkeypatch, KITCHEN)
    assert lookout("fleet", "targets", "--output", file).returncode == 0
    labels = {"device": "Kitchen", "__scheme__": "http", "__metrics_path__": "/metrics"}
    wanted = [{"targets": ["192.0.2.7:8642"], "labels": labels}]
    assert json.loads(file.read_text()) == wanted
    assert file.stat().st_mode & 0o777 == 0o644
    answering(monkeypatch)
    done = lookout("fleet", "targets", "--output", file)
    assert done.returncode == 1
    assert "No Lookout answered within 3 seconds." in done.stderr
    assert json.loads(file.read_text()) == wanted


def test_without_a_network_it_is_a_sentence(lookout: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    def find(_: float) -> list[Found]:
        raise OSError(101, "Network is unreachable")

    monkeypatch.setattr(browse, "find", find)
    assert "There is no network to search: Network is unreachable." in lookout("find").stderr

"""One running service a test, or one for a module's tests that change nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.models import write_sound_and_broken_models
from tests.support.service import GREEN, GREY, RED, HandCamera, Service, plain
from tests.support.waiting import TIMEOUT_S
from tests.support.waiting import until as wait_until

__all__ = ["GREEN", "GREY", "RED", "TIMEOUT_S", "HandCamera", "Service", "StartService", "plain", "wait_until"]

StartService = Callable[..., Service]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound_and_broken_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def start(tmp_path: Path, models: Path) -> Iterator[StartService]:
    """Starts a service with settings given as flags: start({"upload.max_concurrent": "1"})."""
    running: list[Service] = []

    def begin(flags: dict[str, str] | None = None, *, camera: HandCamera | None = None) -> Service:
        running.append(Service(flags or {}, tmp_path / "state", models, camera or HandCamera()))
        return running[-1]

    yield begin
    for service in running:
        if service.is_running:
            service.stop()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Service]:
    """One service for all tests of a module that change nothing; it sees red, so the answer is a cat."""
    service = Service({}, tmp_path_factory.mktemp("shared"), models, HandCamera())
    wait_until(lambda: service.state()["answer"]["label"] == "cat")
    yield service
    service.stop()


@pytest.fixture
def client(shared: Service) -> Iterator[httpx.Client]:
    with shared.client() as client:
        yield client

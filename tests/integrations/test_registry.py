"""Integrations as the service runs them: one that is missing, breaks or hangs costs nobody else anything."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lookout.doctor.check import Context
from lookout.doctor.integrations import INTEGRATION_CHECKS
from lookout.errors import SettingInvalid
from lookout.integrations import packages, running
from lookout.integrations.interface import IntegrationStatus, Parts
from lookout.integrations.packages import Package
from lookout.integrations.registry import KINDS, Kind
from lookout.integrations.running import Integrations
from lookout.settings.schema import Settings

from tests.api.conftest import Service, StartService

PARTS = cast("Parts", SimpleNamespace(control=SimpleNamespace(loaded=SimpleNamespace(settings=Settings()))))


class Sample:
    name = "sample"

    def __init__(self, *, start: Exception | None = None, stop_s: float = 0.0) -> None:
        self._start, self._stop_s = start, stop_s

    def status(self) -> IntegrationStatus:
        return IntegrationStatus("ok", time.monotonic())

    async def start(self) -> None:
        if self._start is not None:
            raise self._start

    async def stop(self) -> None:
        await asyncio.sleep(self._stop_s)


def sample(name: str = "sample", *, on: bool = True, package: Package | None = None, **how: Any) -> Kind:
    return Kind(name, "A sample", "sample.on", lambda _: on, lambda _: Sample(**how), package)


async def test_one_that_is_on_is_started_and_one_that_is_off_is_not() -> None:
    both = Integrations([sample(), sample("other", on=False)])
    await both.start(PARTS)
    assert {name: one.status for name, one in both.statuses().items()} == {"sample": "ok", "other": "off"}
    await both.stop()


LACKING = Package("no_such_module", "sample>=1")


async def test_a_package_that_is_not_installed_is_a_sentence_with_its_command() -> None:
    lacking = Integrations([sample(package=LACKING), sample("other")])
    await lacking.start(PARTS)
    status = lacking.statuses()["sample"]
    assert (status.status, status.code) == ("missing", "package_missing")
    assert "no_such_module is not installed" in status.detail
    assert status.remedy.endswith(f"{sys.executable} -m pip install 'sample>=1'")
    assert lacking.statuses()["other"].status == "ok"
    await lacking.stop()


def test_the_command_is_one_that_works_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service's user may not write the environment, and the image has no pip."""
    monkeypatch.setattr(packages.os, "access", lambda *_: False)
    assert f"start Lookout again: sudo {sys.executable} -m pip install" in LACKING.remedy()
    monkeypatch.setattr(packages, "_is_there", lambda _: False)
    assert "pip install" not in LACKING.remedy()


def test_every_package_is_in_the_extra_that_the_installer_and_the_image_bring() -> None:
    root = Path(__file__).parents[2]
    extras = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought = [name for name in extras if name in extras["integrations"][0].partition("[")[2]]
    wanted = {package.requirement for kind in KINDS for package in (kind.package, kind.optional) if package}
    assert wanted == {requirement for name in brought for requirement in extras[name]}
    for script in ("systemd/install.sh", "Dockerfile"):
        assert "[integrations]" in (root / script).read_text()


@pytest.mark.parametrize("error", [SettingInvalid("It is wrong.", "Mend it."), AttributeError("another release")])
async def test_one_that_cannot_start_says_why_and_the_others_go_on(error: Exception) -> None:
    broken = Integrations([sample(start=error), sample("other")])
    await broken.start(PARTS)
    assert broken.statuses()["sample"].status == "failed"
    assert broken.statuses()["sample"].detail
    assert broken.statuses()["sample"].code == getattr(error, "code", "error")
    assert broken.statuses()["other"].status == "ok"
    await broken.stop()


async def test_one_that_hangs_at_the_stop_is_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "STOP_S", 0.05)
    slow = Integrations([sample(stop_s=60), sample("other")])
    await slow.start(PARTS)
    began = time.monotonic()
    await slow.stop()
    assert time.monotonic() - began < 5


def test_what_is_off_is_listed_and_nothing_of_it_is_imported(start: StartService) -> None:
    service: Service = start()
    with service.client() as client:
        answer = client.get("api/integrations").json()
    assert [one["name"] for one in answer["integrations"]] == [kind.name for kind in KINDS]
    assert {(one["status"], one["code"]) for one in answer["integrations"]} <= {("off", None)}


def test_a_service_without_integrations_imports_none_of_their_packages() -> None:
    modules = sorted({one.module for kind in KINDS for one in (kind.package, kind.optional) if one})
    code = (
        "import sys, lookout.server.serve, lookout.cli, lookout.doctor.report\n"
        "own = [name for name in sys.modules if name.startswith('lookout.integrations.') and name.count('.') > 2]\n"
        f"print([name for name in {modules!r} if name in sys.modules] + own)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_doctor_has_a_line_for_each(tmp_path: Path) -> None:
    findings = {check.name: check.run(Context(root=tmp_path)) for check in INTEGRATION_CHECKS}
    assert list(findings) == [kind.name for kind in KINDS]
    assert {finding.status for finding in findings.values()} <= {"skipped"}

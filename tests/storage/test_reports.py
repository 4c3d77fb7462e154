"""What is wrong with the disk is in the state and in its sentence, while everything else goes on."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import pytest
from lookout.engine.housekeeping import Housekeeping
from lookout.engine.worker import Engine, first_state
from lookout.errors import DiskFull, Fault
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.state.summary import sentence
from lookout.state.view import view
from lookout.storage.watch import trouble_of
from lookout.system.reading import SystemReading

SETTINGS = Settings.model_validate({})
FULL = DiskFull("The disk is full: answers go on, but changes are not kept.", "Free some space.")


def test_the_view_and_the_sentence_tell_what_is_wrong_with_the_disk() -> None:
    state = first_state(SETTINGS, 10.0)
    well = view(state, 11.0, 1e9, SystemReading())
    reported = view(state, 11.0, 1e9, SystemReading(disk=Fault.of(FULL)))
    assert well["system"]["disk"] is None
    assert reported["system"]["disk"] == {"code": "disk_full", "reason": FULL.detail, "remedy": FULL.remedy}
    assert reported["status"] == well["status"]
    assert sentence(reported) == f"{sentence(well)} {FULL.detail}"


@pytest.mark.parametrize(("number", "code"), [(28, "disk_full"), (122, "disk_full"), (30, "disk_read_only")])
def test_the_kernels_errors_have_a_code_a_sentence_and_a_remedy(number: int, code: str) -> None:
    trouble = trouble_of(Path("/var/lib/lookout"), OSError(number, "whatever"))
    assert trouble.code == code
    assert trouble.detail.startswith("The disk that holds /var/lib/lookout is ")
    assert trouble.remedy


async def test_housekeeping_reports_a_problem_and_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    hub = Hub(first_state(SETTINGS, time.monotonic()))
    caplog.set_level("INFO")
    reported: list[DiskFull | None] = [FULL]
    monkeypatch.setattr("lookout.engine.housekeeping.STATUS_EVERY_S", 0.01)
    housekeeping = Housekeeping(Engine(SETTINGS, Catalogue.of(SETTINGS), hub), hub, trouble=lambda: reported[0])
    running = asyncio.create_task(housekeeping.run())
    try:
        async with asyncio.timeout(10):
            while hub.system.memory_bytes is None or hub.system.disk is None:
                await asyncio.sleep(0.01)
            assert hub.system.disk == Fault.of(FULL), "a reading of the machine leaves it as it is"
            assert housekeeping.sentence().endswith(FULL.detail)
            reported[0] = None
            while hub.system.disk is not None:
                await asyncio.sleep(0.01)
        lines = [record.message for record in caplog.records if record.name == "lookout.engine.housekeeping"]
        assert lines == [str(FULL), "Changes are kept on disk again."]
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running

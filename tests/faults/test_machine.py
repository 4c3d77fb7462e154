"""Faults of the machine around the service: a clock that jumps, a service that is killed or frozen."""

from __future__ import annotations

import contextlib
import datetime
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.faults import table
from tests.faults.eyes import Eyes
from tests.faults.running import NEVER_STALE, Service, running, until
from tests.requires import requires

_FAKETIME = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
CAMERA_GONE_S = 2.0


def _wall(service: Service) -> float:
    return datetime.datetime.fromisoformat(service.state()["time"]["now"]).timestamp()


@requires("faketime")
def test_a_clock_that_jumps_changes_nothing_but_labels(tmp_path: Path) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    environment = NEVER_STALE | {
        "LD_PRELOAD": str(_FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_DISABLE_SHM": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with running(tmp_path / "run", environment=environment) as service:
        before = service.state()
        with Eyes(service) as eyes:
            for jump_s in (86_400 * 365, -3_600):
                clock.write_text(f"{jump_s:+d}")
                until(lambda: abs(_wall(service) - time.time() - jump_s) < 5, 8, "the labels follow")  # noqa: B023
                time.sleep(1.0)
                after = service.state()
                assert 0 <= after["prediction"]["age_ms"] < 5_000
                since = datetime.datetime.fromisoformat(after["camera"]["since"]).timestamp()
                assert _wall(service) - since == pytest.approx(after["camera"]["for_s"], abs=2)
        # On a busy machine libfaketime itself halts the process for seconds: a client then gives up its connection.
        odd = [
            look for looks in eyes.looks.values() for look in looks if not look.fresh and "connection" not in look.words
        ]
        assert not odd, "nothing looked stale meanwhile"
        assert after["camera"]["restarts"] == before["camera"]["restarts"]
    table.record("wall clock jumps a year ahead, then back", "nothing; times are labelled anew", None, {"labels": 0.0})


def test_a_killed_service_takes_its_camera_along_and_the_next_one_starts(tmp_path: Path) -> None:
    with running(tmp_path) as service:
        camera = service.camera()
        with Eyes(service) as eyes:
            began = time.monotonic()
            service.process.kill()
            service.process.wait(5)
            gone = until(lambda: not _runs(camera), CAMERA_GONE_S, "the camera's process is gone")
            until(lambda: all(after is not None for after in eyes.noticed(began).values()), 3, "clients notice")
        noticed = eyes.noticed(began)
    assert max(after for after in noticed.values() if after is not None) <= 3.0
    restarted = time.monotonic()
    with running(tmp_path) as service:
        assert service.is_current()
        again = time.monotonic() - restarted
        camera = service.camera()
        service.set("hang")
        time.sleep(0.3)
        service.process.kill()
        until(lambda: not _runs(camera), CAMERA_GONE_S, "a process that hangs in native code is gone as well")
    note = f"connections end; the camera is let go after {gone:.1f} s"
    table.record("service killed (kill -9)", note, noticed, {"restart": again})


def test_a_frozen_service_is_seen_by_its_clients_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """What a suspended machine looks like; under systemd the watchdog ends a service that stays frozen."""
    with running(tmp_path) as service, Eyes(service) as eyes:
        began = time.monotonic()
        service.process.send_signal(signal.SIGSTOP)
        until(lambda: eyes.noticed(began)["WebSocket"] is not None, 3.0, "the WebSocket's client notices the silence")
        back = time.monotonic()
        service.process.send_signal(signal.SIGCONT)
        until(lambda: all(a is not None for a in eyes.fresh_again(back).values()), 5, "all interfaces fresh")
        time.sleep(0.5)
    eyes.assert_truthful()
    again = eyes.fresh_again(back)
    table.record(
        "service frozen (SIGSTOP)",
        "silence, called lost after 2.5 s",
        {"WebSocket": eyes.noticed(began)["WebSocket"]},
        again,
    )


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False

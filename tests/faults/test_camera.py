"""Faults of the camera and its process: killed, frozen, hanging, repeating, silent, talking nonsense."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.faults import table
from tests.faults.eyes import Eyes
from tests.faults.running import NOTICE_S, RECOVER_S, Service, running, until

# How long a source stays away: longer than every interface has for saying so.
AWAY_S = NOTICE_S + 0.5


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("camera")) as service:
        yield service


@pytest.fixture
def service(shared: Service) -> Service:
    shared.clean_slate()
    return shared


def _signal(number: int) -> Callable[[Service], None]:
    return lambda service: service.camera().send_signal(number)


def _mode(mode: str) -> Callable[[Service], None]:
    return lambda service: service.set(mode)


@dataclass(frozen=True)
class Fault:
    name: str
    inject: Callable[[Service], None]
    note: str


# The source itself is sound: a new process is all it takes.
CURED_BY_A_NEW_PROCESS = [
    Fault("camera process killed (kill -9)", _signal(signal.SIGKILL), "`stale` for the moment of the restart"),
    Fault("camera process frozen (SIGSTOP)", _signal(signal.SIGSTOP), "`stale`, camera `stalled`"),
    Fault("driver hangs in native code, once", _mode("hang_once"), "`stale`, camera `stalled`"),
    Fault("driver aborts, once", _mode("crash_once"), "`stale` for the moment of the restart"),
    Fault("one corrupt frame", _mode("corrupt_once"), "`stale` for the moment of the restart"),
]

# The source is away for a while, however often it is started.
AWAY = [
    Fault("driver hangs in native code, also when reopened", _mode("hang"), "`stale`, camera `stalled`"),
    Fault("camera repeats one picture", _mode("repeat"), "`stale`, camera `stalled`, `camera_repeats`"),
    Fault("driver aborts at every start", _mode("crash"), "`absent`, with the signal it died of"),
    Fault("every frame corrupt", _mode("corrupt"), "`stale`, then `absent`, with what is wrong"),
    Fault("camera unplugged", _mode("absent"), "`absent`"),
]


def _named(fault: Fault) -> str:
    return fault.name


@pytest.mark.parametrize("fault", CURED_BY_A_NEW_PROCESS, ids=_named)
def test_a_broken_camera_process_is_replaced_within_the_promised_time(service: Service, fault: Fault) -> None:
    before = service.camera().pid
    with Eyes(service) as eyes:
        began = time.monotonic()
        fault.inject(service)
        until(lambda: [one.pid for one in service.cameras()] not in ([before], []), NOTICE_S, "another process")
        replaced = time.monotonic()
        service.until_current(RECOVER_S)
        until(lambda: all(after is not None for after in eyes.fresh_again(replaced).values()), RECOVER_S, "all fresh")
    eyes.assert_truthful()
    again = eyes.fresh_again(replaced)
    assert max(after for after in again.values() if after is not None) <= RECOVER_S
    assert len(service.cameras()) == 1
    table.record(fault.name, fault.note, eyes.noticed(began), again)


@pytest.mark.parametrize("fault", AWAY, ids=_named)
def test_a_source_that_is_away_is_called_so_and_its_return_is_noticed(service: Service, fault: Fault) -> None:
    with Eyes(service) as eyes:
        began = time.monotonic()
        fault.inject(service)
        time.sleep(AWAY_S)
        reported = service.state()
        back = time.monotonic()
        service.set("ok")
        eyes.until_fresh(back)
    eyes.assert_truthful()
    eyes.assert_told(began, back)
    assert reported["camera"]["reason"]
    assert reported["camera"]["remedy"]
    table.record(fault.name, fault.note, eyes.noticed(began), eyes.fresh_again(back))


def test_nothing_is_left_of_all_those_cameras(service: Service) -> None:
    import psutil

    process = psutil.Process(service.process.pid)
    before = process.num_fds(), process.num_threads()
    for _ in range(5):
        service.camera().kill()
        service.clean_slate()
    assert len(process.children(recursive=True)) == 1
    after = process.num_fds(), process.num_threads()
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] + 1

"""Pictures made to exhaust the machine, sent to a running service: memory, pauses and the stop keep their bounds."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from tests.api.pictures_made import jpeg
from tests.faults.bombs import bombs, endless
from tests.faults.running import NEVER_STALE, Service, running

# What the contract gives an upload beyond the resting service, and everything a person asks for meanwhile.
MAX_MEMORY = 150 * 10**6
ANSWER_S = 5.0


def _memory(service: Service) -> int:
    """Proportional bytes of the service and the process that decodes. Others, such as a model's trial, come and go."""
    whole = psutil.Process(service.process.pid)
    total = 0
    for process in (whole, *whole.children()):
        with contextlib.suppress(psutil.Error):
            if process is whole or "lookout.pictures.child" in " ".join(process.cmdline()):
                total += process.memory_full_info().pss
    return total


class _Peak:
    """The most memory that was seen."""

    def __init__(self, service: Service) -> None:
        self.bytes, self._service, self._over = 0, service, threading.Event()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.bytes = max(self.bytes, _memory(self._service))


def _sent(service: Service, data: bytes) -> int:
    try:
        return service.request("POST", "/api/classify", raw=data, timeout=60)[0]
    except OSError:
        return 0  # the service is gone


def test_bombs_of_every_format_three_at_once_stay_below_the_limit(tmp_path: Path) -> None:
    padding = bytes(4 * 2**20)  # behind the picture, where decoders do not look
    with running(tmp_path, environment=NEVER_STALE) as service:
        at_rest, peak = _memory(service), _Peak(service)
        with peak.watched(), ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda data: _sent(service, data + padding), bombs().values()))
        assert set(answers) <= {200, 413, 415, 422, 429}
        assert peak.bytes - at_rest < MAX_MEMORY
        assert _sent(service, jpeg()) == 200


def test_a_pause_and_a_stop_do_not_wait_for_what_is_decoded(tmp_path: Path) -> None:
    with running(tmp_path, environment=NEVER_STALE) as service, ThreadPoolExecutor(3) as pool:
        assert _sent(service, jpeg()) == 200
        bomb = endless()
        sent = [pool.submit(_sent, service, bomb) for _ in range(3)]
        time.sleep(0.5)
        began = time.monotonic()
        assert service.json("PUT", "/api/paused", True)[0] == 200
        assert service.request("GET", "/healthz")[0] == 200
        assert time.monotonic() - began < ANSWER_S
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            service.process.wait(15)
        assert time.monotonic() - began < ANSWER_S
        assert service.process.returncode == 0
        assert {future.result() for future in sent} <= {0, 429, 503}

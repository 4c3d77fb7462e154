"""What the lab costs while somebody has it open: our classification rate with its requests and without, in turns."""

from __future__ import annotations

import threading
import time
import urllib.request

from tests.benchmarks.common import Program, lookout, median, running, spread, table
from tests.benchmarks.viewers import rate_of

ROUND_S = 6.0
GOAL_FALL = 0.05
# What the page asks for: the bench follows the picture once a second; on the walk somebody opens a layer, a tile and
# the answer every few seconds.
_BENCH = "/api/snapshot.jpg?region=true&width=160"
_WALK = ("maps?channels=48", "channel?channel=3", "answer", "answer?label=0")
_WALK_EVERY_S = 4.0


def run(*, quick: bool) -> None:
    """Print the table."""
    alone: list[float] = []
    opened: list[float] = []
    command, port = lookout("demo", "--answer.max_rate", "10")
    with running(command, port=port, ready="/readyz") as service:
        _ask_for_all(service)  # the network is loaded a second time at the first look
        for _ in range(2 if quick else 6):
            alone.append(rate_of(port, ROUND_S))
            stop = threading.Event()
            threads = [threading.Thread(target=one, args=(service, stop)) for one in (_bench, _walk)]
            for thread in threads:
                thread.start()
            opened.append(rate_of(port, ROUND_S))
            stop.set()
            for thread in threads:
                thread.join()
    fall = 1 - median(opened) / median(alone)
    table(
        f"Classification rate with bench and walk of the lab open, in turns of {ROUND_S:g} s",
        [
            ("lab", "classifications a second (median, range)", "falls by", "goal"),
            ("closed", spread(alone), "", ""),
            ("open", spread(opened), f"{100 * fall:.1f} %", f"at most {100 * GOAL_FALL:.0f} %"),
        ],
    )


def _bench(service: Program, stop: threading.Event) -> None:
    while not stop.wait(1.0):
        _get(service, _BENCH)


def _walk(service: Program, stop: threading.Event) -> None:
    while not stop.is_set():
        began = time.monotonic()
        _ask_for_all(service)
        stop.wait(max(0.0, _WALK_EVERY_S - (time.monotonic() - began)))


def _ask_for_all(service: Program) -> None:
    picture = _get(service, "/api/snapshot.jpg?region=true")
    for what in _WALK:
        _get(service, f"/api/inspect/{what}", picture)


def _get(service: Program, path: str, body: bytes | None = None) -> bytes:
    headers = {"Content-Type": "image/jpeg"} if body else {}
    request = urllib.request.Request(f"http://127.0.0.1:{service.port}{path}", body, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
    return content

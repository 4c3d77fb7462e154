"""An endurance run: `python -m tests.soak --minutes 60`. Random faults, viewers and uploads; what was lost, what grew.

A service watches a scripted camera while, for the given time and no longer, faults are injected one after the other and
clients of all kinds come and go. The last lines tell: answers lost (moments without an answer of now that no fault and
its promised recovery excuse), the longest gap, requests that failed, the slope of memory after the first ten minutes,
descriptors, threads and processes. Exit status 1 when something was lost or grew.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
import websockets.exceptions
import websockets.sync.client

from tests.faults.eyes import Eyes
from tests.faults.running import NOTICE_S, RECOVER_S, Service, running

# The first minutes fill caches and pools; growth counts from here on.
SETTLED_S = 600.0
MAX_SLOPE_MB = 1.0  # an hour, see the goals
PAUSES_S = (8.0, 25.0)  # between two faults
SAMPLE_S = 5.0
# A busy machine may take so much longer than promised before a missing answer counts as lost.
GRACE_S = 2.0


class Clients:
    """Well-behaved clients that go on all the time; counts what they were sent."""

    def __init__(self, service: Service, over: threading.Event) -> None:
        self._service, self._over = service, over
        noise = np.random.default_rng(1).integers(0, 256, (480, 640, 3), np.uint8)
        self._photo = bytes(cv2.imencode(".jpg", noise)[1])
        self.reported: Counter[str] = Counter()
        self.failures: list[str] = []

    def start(self) -> None:
        for work, pause in ((self._upload, 1.0), (self._look_up, 3.0), (self._watch, 0.5), (self._watch_pictures, 0.5)):
            threading.Thread(target=self._again, args=(work, pause), daemon=True).start()

    def _again(self, work: Callable[[], None], pause: float) -> None:
        while not self._over.wait(pause):
            try:
                work()
            except (OSError, TimeoutError, websockets.exceptions.WebSocketException) as error:
                if not self._over.is_set():
                    self.failures.append(f"{work.__name__}: {type(error).__name__} {error}")

    def _ask(self, method: str, path: str, allowed: set[int], **more: bytes) -> None:
        status, _, data = self._service.request(method, path, timeout=30, **more)  # type: ignore[arg-type]
        self.reported[f"{method} {path.partition('?')[0]} {status}"] += 1
        if status not in allowed:
            self.failures.append(f"{method} {path}: {status} {data[:200]!r}")

    def _upload(self) -> None:
        rubbish = random.random() < 0.2
        body = random.randbytes(20_000) if rubbish else self._photo
        self._ask("POST", "/api/classify", {415, 422, 429} if rubbish else {200, 429}, raw=body)

    def _look_up(self) -> None:
        for path in ("/", "/api/models", "/api/settings", "/api/about", "/healthz", "/readyz"):
            self._ask("GET", path, {200})
        self._ask("GET", "/api/snapshot.jpg?width=320", {200, 503})
        self._ask("GET", "/api/snapshot.jpg?annotate=true", {200, 503})

    def _watch(self) -> None:
        """A page that is opened, watched for a while and closed."""
        self._follow("", random.uniform(5, 40))

    def _watch_pictures(self) -> None:
        self._follow("?picture=320", random.uniform(5, 40))

    def _follow(self, query: str, seconds: float) -> None:
        address, until = f"ws://127.0.0.1:{self._service.port}/api/live{query}", time.monotonic() + seconds
        with websockets.sync.client.connect(address, close_timeout=1) as socket:
            while time.monotonic() < until and not self._over.is_set():
                message = socket.recv(timeout=5)
                if isinstance(message, bytes):
                    header = json.loads(message[4 : 4 + int.from_bytes(message[:4], "big")])
                    socket.send(json.dumps({"type": "ack", "sequence": header["sequence"]}))
        self.reported[f"WebSocket {query or 'states'}"] += 1


class Faults:
    """What is done to the service. Each returns after the source is back; `excused` are the times answers may lack."""

    def __init__(self, service: Service, dice: random.Random) -> None:
        self._service, self._dice = service, dice
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.excused: list[tuple[float, float]] = []
        self._kinds: dict[str, Callable[[], object]] = {
            "kill camera": lambda: service.camera().kill(),
            "freeze camera": lambda: service.camera().send_signal(signal.SIGSTOP),
            "hang once": lambda: service.set("hang_once"),
            "crash once": lambda: service.set("crash_once"),
            "corrupt once": lambda: service.set("corrupt_once"),
            "silent": lambda: self._for_a_while("silent"),
            "repeat": lambda: self._for_a_while("repeat"),
            "hang": lambda: self._for_a_while("hang"),
            "crash": lambda: self._for_a_while("crash"),
            "absent": lambda: self._for_a_while("absent"),
            "pause": self._pause,
            "settings": lambda: service.json("PATCH", "/api/settings", {"answer": {"hold_s": dice.uniform(0.5, 2)}}),
            "other precision": self._other_precision,
            "other region": self._other_region,
            "reload": lambda: service.process.send_signal(signal.SIGHUP),
            "silent connections": self._silent_connections,
            "slow readers": self._slow_readers,
        }

    def inject(self) -> str:
        name = self._dice.choice(list(self._kinds))
        began = time.monotonic()
        try:
            self._kinds[name]()
        except (psutil.Error, ValueError):  # the camera is being replaced at this moment
            pass
        except OSError as error:
            self.failures.append(f"{name}: {type(error).__name__} {error}")
        self.done[name] += 1
        pause = 0.0
        until = time.monotonic() + NOTICE_S + RECOVER_S + GRACE_S
        while time.monotonic() < until + pause:
            with contextlib.suppress(OSError):
                pause = max(pause, self._service.state()["camera"]["retry_in_s"] or 0.0)
            time.sleep(0.2)
        self.excused.append((began, time.monotonic()))
        return name

    def _for_a_while(self, mode: str) -> None:
        self._service.set(mode)
        time.sleep(self._dice.uniform(1, 6))
        self._service.set("ok")

    def _pause(self) -> None:
        self._service.json("PUT", "/api/paused", True)
        time.sleep(self._dice.uniform(0, 3))
        self._service.json("PUT", "/api/paused", False)

    def _other_precision(self) -> None:
        """There and back, so that what is weighed later is the same network."""
        before = self._service.state()["model"]["precision"]
        for precision in ("int8" if before == "fp32" else "fp32", before):
            wanted = {"name": "cat-dog-resnet18", "precision": precision}
            self._service.request("PUT", "/api/model", wanted, timeout=60)
            time.sleep(self._dice.uniform(1, 4))

    def _other_region(self) -> None:
        side = self._dice.uniform(0.4, 1.0)
        self._service.json(
            "PATCH", "/api/settings", {"answer": {"region": {"x": 0, "y": 0, "width": side, "height": side}}}
        )

    def _silent_connections(self) -> None:
        import socket

        with contextlib.ExitStack() as held:
            for _ in range(50):
                held.enter_context(socket.create_connection(("127.0.0.1", self._service.port)))
            time.sleep(self._dice.uniform(1, 9))

    def _slow_readers(self) -> None:
        import socket

        with contextlib.ExitStack() as held:
            for _ in range(10):
                one = held.enter_context(socket.create_connection(("127.0.0.1", self._service.port)))
                one.sendall(b"GET /api/stream.mjpg?fps=30 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            time.sleep(self._dice.uniform(1, 9))


def own_mb(process: psutil.Process) -> float:
    """Megabytes that belong only to the process. Pages of libraries come and go with their other users."""
    memory = process.memory_info()
    return float(memory.rss - memory.shared) / 2**20


class Weights:
    """Memory, descriptors, threads and processes of the service, sampled over time."""

    def __init__(self, service: Service) -> None:
        self._process = psutil.Process(service.process.pid)
        self.samples: list[tuple[float, float, float]] = []  # seconds, MB of the service, MB of all
        self.counts: list[tuple[int, int, int]] = []  # descriptors, threads, processes

    def sample(self, now: float) -> None:
        own = own_mb(self._process)
        children = self._process.children(recursive=True)
        total = own
        for child in children:
            with contextlib.suppress(psutil.Error):
                total += own_mb(child)
        self.samples.append((now, own, total))
        self.counts.append((self._process.num_fds(), self._process.num_threads(), 1 + len(children)))

    def slope_mb_per_hour(self, since: float, column: int = 1) -> float | None:
        """Theil and Sen's: the median of the slopes between all pairs, which a moment's peak does not move."""
        points = [(sample[0], sample[column]) for sample in self.samples if sample[0] >= since]
        points = points[:: max(1, len(points) // 200)]
        slopes = [
            (later[1] - sooner[1]) / (later[0] - sooner[0])
            for place, sooner in enumerate(points)
            for later in points[place + 1 :]
        ]
        return statistics.median(slopes) * 3600 if len(slopes) >= 100 else None


def gaps(eyes: Eyes, began: float, ended: float) -> list[tuple[float, float]]:
    """The times without an answer of now, from the looks of the REST interface (ten a second)."""
    found, since = [], None
    for look in list(eyes.looks["REST"]):
        if not began <= look.at <= ended:
            continue
        if look.fresh and since is not None:
            found.append((since, look.at))
            since = None
        elif not look.fresh and since is None:
            since = look.at
    return found + ([(since, ended)] if since is not None else [])


def unexcused(found: list[tuple[float, float]], excuses: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those that do not lie within a fault and the time promised for its recovery."""
    return [gap for gap in found if not any(start <= gap[0] and gap[1] <= end for start, end in excuses)]


def report(eyes: Eyes, clients: Clients, faults: Faults, weights: Weights, began: float, *, last: bool = False) -> bool:
    now = time.monotonic()
    settled = min(SETTLED_S, (now - began) / 3)
    found = gaps(eyes, began, now)
    # A fault that is under way has its excuse only when it is over.
    lost = unexcused(found, faults.excused) if last else []
    longest = max((end - start for start, end in found), default=0.0)
    slope, all_slope = (weights.slope_mb_per_hour(settled, column) for column in (1, 2))
    (_, own, total), (descriptors, threads, processes) = weights.samples[-1], weights.counts[-1]
    after = [count for sample, count in zip(weights.samples, weights.counts, strict=True) if sample[0] >= settled]
    failures = [*clients.failures, *faults.failures]
    print(
        f"{(now - began) / 60:5.1f} min  {sum(faults.done.values())} faults  {sum(clients.reported.values())} answers  "
        f"{len(failures)} failed  longest gap {longest:.1f} s  service {own:.1f} MB, all {total:.1f} MB, "
        f"slope {'–' if slope is None else f'{slope:+.2f}'} MB/h  "
        f"{descriptors} descriptors  {threads} threads  {processes} processes",
        flush=True,
    )
    if not last:
        return True
    peak = [max(column) for column in zip(*after, strict=True)] if after else [0, 0, 0]
    least = [min(column) for column in zip(*after, strict=True)] if after else [0, 0, 0]
    print(f"\nfaults: {dict(sorted(faults.done.items()))}")
    print(f"sent: {dict(sorted(clients.reported.items()))}")
    print(f"lost answers: {len(lost)}" + "".join(f"\n  {a - began:.1f} s to {b - began:.1f} s" for a, b in lost[:20]))
    print(f"longest gap: {longest:.1f} s (faults included: a source that was away, and its pause)")
    print(f"failed requests: {len(failures)}" + "".join(f"\n  {line}" for line in failures[:20]))
    print(f"memory slope after {settled / 60:.0f} minutes: service {_mb(slope)}, with its camera {_mb(all_slope)}")
    print(f"descriptors {least[0]} to {peak[0]}, threads {least[1]} to {peak[1]}, processes {least[2]} to {peak[2]}")
    lies = _lies(eyes)
    print(f"answers shown as of now that were not: {lies}")
    grew = slope is not None and slope > MAX_SLOPE_MB and settled >= SETTLED_S
    return not (lost or failures or lies or grew)


def _mb(slope: float | None) -> str:
    return "too short a run to tell" if slope is None else f"{slope:+.2f} MB an hour"


def _lies(eyes: Eyes) -> str:
    try:
        eyes.assert_truthful()
    except AssertionError as error:
        return str(error).splitlines()[0]
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="of the faults; printed, for running the same again")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(10**6)
    print(f"soak for {chosen.minutes:g} minutes, seed {seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the service must not outlive the run
    dice, over = random.Random(seed), threading.Event()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as service, Eyes(service) as eyes:
        clients, faults, weights = Clients(service, over), Faults(service, dice), Weights(service)
        clients.start()
        began = time.monotonic()
        end = began + 60 * chosen.minutes
        sampler = threading.Thread(target=_sample, args=(weights, over, began), daemon=True)
        sampler.start()
        told_at = began
        while time.monotonic() < end:
            over.wait(min(dice.uniform(*PAUSES_S), max(0.0, end - time.monotonic())))
            if time.monotonic() < end:
                faults.inject()
            if time.monotonic() - told_at >= 60:
                told_at = time.monotonic()
                report(eyes, clients, faults, weights, began)
            if service.process.poll() is not None:
                print(f"the service ended: {service.process.returncode}\n{service.log()[-3000:]}")
                return 1
        good = report(eyes, clients, faults, weights, began, last=True)
        over.set()
        trouble = [line for line in service.log().splitlines() if "Traceback" in line]
        print(f"tracebacks in the log: {len(trouble)}")
        if trouble:
            print(service.log()[-4000:])
        status = service.end()
        print(f"exit status of the service: {status}")
        return 0 if good and status == 0 and not trouble else 1


def _sample(weights: Weights, over: threading.Event, began: float) -> None:
    while not over.wait(SAMPLE_S):
        with contextlib.suppress(psutil.Error):
            weights.sample(time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(main())

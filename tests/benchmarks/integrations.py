"""What other programs cost: the same demo with MQTT, notices, metrics and the inference API, and with none of them.

Both run beside each other, so that the same noise meets both. The broker, the webhook's receiver and the scraping are
not measured, and neither is the camera's process.
"""

from __future__ import annotations

import contextlib
import http.server
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from lookout.bench.live import Service, running

from tests.benchmarks.common import machine
from tests.integrations.mosquitto import Mosquitto
from tests.support.ports import free_port

MAX_BYTES, MAX_SHARE = 15e6, 0.02
SCRAPE_S = 15.0
ROUND_S = 15.0
FLAGS = ("--model.threads", "1", "--events.enabled", "true")


def run(*, quick: bool) -> None:
    print(f"\n{machine()}")
    with tempfile.TemporaryDirectory(prefix="lookout-bench-") as name:
        folder = Path(name)
        broker = Mosquitto(folder, free_port())
        broker.start()
        try:
            with _receiver() as port:
                _measure(folder, broker.port, port, rounds=4 if quick else 12)
        finally:
            broker.kill()


def _measure(folder: Path, broker: int, receiver: int, rounds: int) -> None:
    _write_settings(folder / "on", receiver)
    all_on = ("--mqtt.url", f"mqtt://127.0.0.1:{broker}", "--metrics.enabled", "true")
    all_on += ("--metrics.public_on_loopback", "true", "--server.inference", "true")
    with (
        running(folder / "on", *FLAGS, *all_on) as (on, _),
        running(folder / "off", *FLAGS, "--server.inference", "false") as (off, _),
    ):
        time.sleep(5)
        stopped = threading.Event()
        scraping = threading.Thread(target=_scrape, args=(on.address, stopped), daemon=True)
        scraping.start()
        shares = [_round(on, off) for _ in range(rounds)]
        stopped.set()
        memory = _memory(on) - _memory(off)
        states = [on.state().get("sequence"), off.state().get("sequence")]
    difference = statistics.mean(more - less for more, less in shares)
    without = statistics.mean(less for _, less in shares)
    spread = statistics.stdev(more - less for more, less in shares) / len(shares) ** 0.5
    print(f"memory: {memory / 1e6:+.1f} MB (goal at most {MAX_BYTES / 1e6:.0f})")
    print(f"one core's share: {difference:+.2%} ± {spread:.2%} of {without:.1%} (goal at most {MAX_SHARE:.0%})")
    print(f"states published meanwhile, with and without: {states[0]}, {states[1]}")


def _round(on: Service, off: Service) -> tuple[float, float]:
    """The share of one core that each used for a while, without its camera."""
    before, begun = (_used(on), _used(off)), time.monotonic()
    time.sleep(ROUND_S)
    passed = time.monotonic() - begun
    return (_used(on) - before[0]) / passed, (_used(off) - before[1]) / passed


def _used(service: Service) -> float:
    """Seconds of processor time so far."""
    return float(sum(service.processes[0].cpu_times()[:2]))


def _memory(service: Service) -> int:
    """The proportional set size in bytes: what two processes share counts half in each."""
    return int(service.processes[0].memory_full_info().pss)


def _write_settings(folder: Path, receiver: int) -> None:
    """Rules stand in the file only."""
    (folder / "lookout").mkdir(parents=True)
    (folder / "lookout/lookout.toml").write_text(
        "[[notify.rules]]\n"
        'name = "visits"\nto = ["hook"]\ncooldown_s = 30\nper_hour = 60\n'
        "[[notify.rules]]\n"
        'name = "trouble"\nwhen = "health"\nto = ["hook"]\n'
        f'[notify.targets.hook]\nwebhook = "http://127.0.0.1:{receiver}/"\n'
    )


def _scrape(address: str, stopped: threading.Event) -> None:
    while True:
        with urllib.request.urlopen(f"{address}metrics", timeout=10) as answer:
            assert b"lookout_camera_up" in answer.read()
        if stopped.wait(SCRAPE_S):
            return


@contextlib.contextmanager
def _receiver() -> Iterator[int]:
    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()

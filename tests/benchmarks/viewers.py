"""What viewers cost: our classification rate with many of them, and the live picture against other programs."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.common import Program, environment, lookout, median, running, spread, table
from tests.support.ports import free_port

STREAMS, SOCKETS, WITH_PICTURES = 20, 50, 10
ROUND_S = 6.0
VIEWERS = 10
GOAL_FALL, GOAL_COST = 0.10, 2.0

_RTSP = """
import gi, sys
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=480,framerate=15/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 ! rtph264pay name=pay0 pt=96 )")
factory.set_shared(True)
server.get_mount_points().add_factory("/test", factory)
server.attach(None)
GLib.MainLoop().run()
"""


def _watch(program: Program, path: str, streams: int, sockets: int = 0, with_pictures: int = 0) -> tuple[int, int]:
    script = Path(__file__).with_name("watch.py")
    command = [sys.executable, script, program.port, ROUND_S, path, streams, sockets, with_pictures]
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=ROUND_S + 60, check=True
    )
    pictures, states = map(int, done.stdout.split())
    return pictures, states


def _frame_id(port: int) -> tuple[float, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/state", timeout=10) as answer:
        state = json.load(answer)
    return float(state["rate"]["classifications_per_s"]), int(state["sequence"])


def rate_of(port: int, seconds: float) -> float:
    """Classifications a second, read off the service once a second."""
    rates = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        rates.append(_frame_id(port)[0])
        time.sleep(0.5)
    return median(rates)


def run(*, quick: bool) -> None:
    """Run both comparisons and print their tables."""
    rounds = 2 if quick else 6
    _with_and_without_viewers(rounds)
    _against_others(rounds)


def _with_and_without_viewers(rounds: int) -> None:
    alone: list[float] = []
    watched: list[float] = []
    pictures = states = 0
    command, port = lookout("demo", "--answer.max_rate", "10")
    with running(command, port=port, ready="/readyz") as service:
        time.sleep(8)
        for _ in range(rounds):
            alone.append(rate_of(port, ROUND_S))
            script = Path(__file__).with_name("watch.py")
            viewers = subprocess.Popen(
                [sys.executable, script, str(port), str(ROUND_S), "/api/stream.mjpg"]
                + [str(number) for number in (STREAMS, SOCKETS, WITH_PICTURES)],
                stdout=subprocess.PIPE,
                text=True,
            )
            time.sleep(3.5)  # the published rate is a mean over some seconds
            watched.append(rate_of(port, ROUND_S - 3))
            output = viewers.communicate(timeout=60)[0].split()
            pictures += int(output[0])
            states += int(output[1])
            time.sleep(4)
        del service
    fall = median([1 - b / a for a, b in zip(alone, watched, strict=True)])
    table(
        f"Classification rate with {STREAMS} MJPEG and {SOCKETS} WebSocket viewers, {WITH_PICTURES} of them with "
        f"pictures, {rounds} rounds of {ROUND_S:g} s in turn",
        [
            ("viewers", "classifications a second (median, range)", "falls by", "goal"),
            ("none", spread(alone), "", ""),
            (f"{STREAMS} + {SOCKETS}", spread(watched), f"{100 * fall:.1f} %", f"at most {100 * GOAL_FALL:.0f} %"),
            (
                "delivered a second",
                f"{pictures / rounds / ROUND_S:.0f} pictures, {states / rounds / ROUND_S:.0f} states",
                "",
                "",
            ),
        ],
    )


@contextlib.contextmanager
def _motion(source: str) -> Iterator[Program]:
    """Motion from Debian: only the stream, with nothing kept and no motion looked for."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "motion.conf"
        settings = {
            "daemon": "off",
            "target_dir": folder,
            "netcam_url": source,
            "netcam_params": "rtsp_transport=tcp",
            "width": "640",
            "height": "480",
            "framerate": "15",
            "stream_port": str(port),
            "stream_localhost": "on",
            "stream_maxrate": "15",
            "stream_quality": "80",
            "stream_motion": "off",
            "webcontrol_port": "0",
            "picture_output": "off",
            "movie_output": "off",
            "pause": "on",
            "log_level": "4",
        }
        config.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        with running(["motion", "-c", config, "-n"], port=port, ready="") as program:
            yield program


def _against_others(rounds: int) -> None:
    rtsp_port = free_port()
    source = f"rtsp://127.0.0.1:{rtsp_port}/test"
    peer_python = environment("opencv", "opencv-python-headless")
    peer_port = free_port()
    command, port = lookout("serve", "--source", source, "--answer.max_rate", "1")
    with contextlib.ExitStack() as stack:
        stack.enter_context(running(["/usr/bin/python3", "-c", _RTSP, str(rtsp_port)], port=rtsp_port, ready=""))
        programs = {
            "Lookout (classifies once a second)": (
                stack.enter_context(running(command, port=port, ready="/readyz")),
                "/api/stream.mjpg",
            ),
            "picamera2's example method": (
                stack.enter_context(
                    running(
                        [peer_python, Path(__file__).with_name("peer_picamera2_method.py"), str(peer_port), source],
                        port=peer_port,
                        ready="",
                    )
                ),
                "/stream.mjpg",
            ),
        }
        if shutil.which("motion"):
            programs["Motion (Debian)"] = (stack.enter_context(_motion(source)), "/")
        else:
            print("Motion is left out: apt install motion", file=sys.stderr)
        time.sleep(10)
        # Somebody who watches while the source is away is measured drawing placeholders: first see that pictures flow.
        for name, (program, path) in programs.items():
            pictures, _states = _watch(program, path, 1)
            if pictures < 10 * ROUND_S:
                raise RuntimeError(f"{name} delivers {pictures / ROUND_S:.1f} frames a second of 15")
        cost: dict[str, list[float]] = {name: [] for name in programs}
        rate: dict[str, list[float]] = {name: [] for name in programs}
        # All run all the time: held still, a program would find its stream broken. Each is watched in turn.
        for _ in range(rounds):
            for name, (program, path) in programs.items():
                before = program.cpu_s()
                began = time.monotonic()
                pictures, _states = _watch(program, path, VIEWERS)
                used = program.cpu_s() - before
                # Connecting takes 1.5 s in which frames flow but are not counted.
                pictures_in_all = pictures * (time.monotonic() - began) / ROUND_S
                cost[name].append(1e3 * used / max(pictures_in_all, 1))
                rate[name].append(pictures / ROUND_S / VIEWERS)
    others = [median(values) for name, values in cost.items() if not name.startswith("Lookout")]
    rows = [
        ("who", "processor ms for each delivered frame", "frames a second and viewer", "to the better other", "goal")
    ]
    for name, values in cost.items():
        ours = name.startswith("Lookout")
        rows.append(
            (
                name,
                f"{median(values):.2f} ({min(values):.2f} to {max(values):.2f})",
                spread(rate[name]),
                f"{median(values) / min(others):.2f} times" if ours else "",
                f"at most {GOAL_COST:g} times" if ours else "",
            )
        )
    table(
        f"Live picture from the same RTSP source, 640x480, {VIEWERS} viewers, {rounds} rounds of {ROUND_S:g} s in turn",
        rows,
    )

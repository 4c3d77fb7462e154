"""Finds the Python interpreter for the Pi camera: one that can import picamera2, tested in a separate process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from lookout.camera.isolation.process import environment
from lookout.deadline import Deadline
from lookout.errors import CameraUnsupported

SYSTEM_PYTHON = "/usr/bin/python3"
PROBE_S = 30.0  # the first import of picamera2 from a cold SD card takes seconds
INSTALL = "On Raspberry Pi OS: sudo apt install python3-picamera2 (with --no-install-recommends on the Lite edition)."

_PROBE = """
import json, sys
try:
    from picamera2 import Picamera2
    found = {"cameras": Picamera2.global_camera_info() if "list" in sys.argv else []}
except BaseException as error:
    found = {"error": f"{type(error).__name__}: {error}"}
print("\\n" + json.dumps(found))
"""


@dataclass(frozen=True, slots=True)
class Probe:
    """The result of a test. error: why the interpreter cannot use a Pi camera, or empty. cameras: libcamera's list."""

    error: str
    cameras: tuple[dict[str, object], ...] = ()


_lock = threading.Lock()
_can: dict[str, bool] = {}


def probe(python: str, deadline: Deadline, *, cameras: bool = False) -> Probe:
    """Test whether an interpreter can import picamera2, and list cameras if requested. Never raises, never hangs."""
    arguments = [python, "-I", "-c", _PROBE, *(["list"] if cameras else [])]
    limit = min(PROBE_S, deadline.remaining())
    try:
        done = subprocess.run(
            arguments, capture_output=True, timeout=limit, check=False, stdin=subprocess.DEVNULL, env=environment()
        )
        found = json.loads(done.stdout.decode("utf-8", "replace").strip().rpartition("\n")[2])
    except subprocess.TimeoutExpired:
        return Probe(f"did not answer within {limit:.0f} s")
    except OSError as error:
        return Probe(f"cannot be started: {error.strerror}")
    except ValueError:
        return Probe(f"ended with exit status {done.returncode}")
    return Probe(str(found.get("error", "")), tuple(found.get("cameras", ())))


def candidates(wanted: str) -> tuple[str, ...]:
    """The interpreters to try for a Pi camera, best first. wanted: the setting camera.python."""
    if wanted != "auto":
        return (wanted,)
    system = (SYSTEM_PYTHON,) if Path(SYSTEM_PYTHON).exists() else ()
    return tuple(dict.fromkeys((sys.executable, *system)))


def choose(wanted: str, deadline: Deadline) -> str:
    """Choose the interpreter for the Pi camera. A success is remembered; a failure is tested again.

    Raises CameraUnsupported with the result for each interpreter.
    """
    reasons = []
    for python in candidates(wanted):
        with _lock:
            if _can.get(python):
                return python
        found = probe(python, deadline)
        if not found.error:
            with _lock:
                _can[python] = True
            return python
        reasons.append(f"{python}: {found.error}")
    raise CameraUnsupported(f"No Python here can import picamera2 ({'; '.join(reasons)}).", INSTALL)

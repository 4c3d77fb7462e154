"""The decoding process: the same pictures, whatever the bytes are, and never more memory or time than allowed."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from lookout.errors import DecoderUnavailable, PictureError, PictureTooLarge, PictureUnreadable, TooBusy
from lookout.pictures import decoder as decoder_module
from lookout.pictures import process as process_module
from lookout.pictures.decode import read_picture
from lookout.pictures.decoder import Decoder
from lookout.pictures.limits import DecodeLimits

from tests.api.pictures_made import encoded, jpeg, quarters
from tests.faults import mounts
from tests.faults.bombs import bombs, endless
from tests.requires import requires

LIMITS = DecodeLimits()
BOMBS = bombs()
# What Python itself may need beside a picture.
SLACK = 6 * 2**20


@pytest.fixture(scope="module")
def shared() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    decoder = Decoder()
    yield decoder
    decoder.close()


def process_of(decoder: Decoder) -> psutil.Process:
    assert decoder.pid is not None
    return psutil.Process(decoder.pid)


def gone(pid: int, seconds: float = 5.0) -> bool:
    """Whether the process ends within that many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".bmp", ".tiff", ".gif"])
def test_a_picture_is_the_same_as_decoded_here(shared: Decoder, extension: str) -> None:
    data = encoded(quarters(900, 700), extension)
    there, here = shared.read(data, LIMITS), read_picture(data)
    assert np.array_equal(there.pixels, here.pixels)
    assert (
        (there.width, there.height, there.format) == (here.width, here.height, here.format) == (900, 700, here.format)
    )


def test_the_process_is_kept_warm_and_ends_when_it_has_nothing_to_do(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert decoder.pid is None
    decoder.read(jpeg(64, 48), LIMITS)
    first = decoder.pid
    assert first is not None
    decoder.rest()
    decoder.read(jpeg(64, 48), LIMITS)
    assert decoder.pid == first
    monkeypatch.setattr(decoder_module, "IDLE_S", 0.0)
    decoder.rest()
    assert decoder.pid is None
    assert gone(first)
    assert decoder.read(jpeg(64, 48), LIMITS).width == 64


def test_a_process_that_was_killed_meanwhile_is_replaced(decoder: Decoder) -> None:
    decoder.read(jpeg(64, 48), LIMITS)
    process_of(decoder).kill()
    assert gone(decoder.pid or 0)
    assert decoder.read(jpeg(64, 48), LIMITS).width == 64


@pytest.mark.parametrize("name", BOMBS)
def test_no_picture_takes_more_memory_than_is_allowed(shared: Decoder, name: str) -> None:
    """Interlaced, animated, progressive, deep and plain ones: what headers say is not believed."""
    shared.read(jpeg(64, 48), LIMITS)
    process = process_of(shared)
    at_rest = process.memory_info().rss
    error = None
    try:
        shared.read(BOMBS[name], LIMITS)
    except PictureError as refused:
        error = refused
    assert error is None or error.status in (413, 422), error
    peak = int(Path(f"/proc/{process.pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024
    assert peak - at_rest < LIMITS.memory + SLACK
    assert shared.read(jpeg(64, 48), LIMITS).width == 64
    assert shared.pid == process.pid


def test_a_picture_that_takes_too_long_is_ended_and_the_next_one_is_decoded(decoder: Decoder) -> None:
    decoder.read(jpeg(64, 48), LIMITS)
    before, began = decoder.pid, time.monotonic()
    with pytest.raises(PictureTooLarge, match=r"more than 0\.5 seconds"):
        decoder.read(endless(), LIMITS, 0.5)
    assert time.monotonic() - began < 4
    assert gone(before or 0)
    assert decoder.read(jpeg(64, 48), LIMITS).width == 64


def test_the_processors_time_is_limited_too(decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the clock on the wall would allow: a busy machine stretches that."""
    monkeypatch.setattr(process_module, "_BEGIN", process_module._BEGIN.replace(
        "main(line", "import lookout.pictures.confinement as c; c.CPU_S = 0; main(line"
    ))  # fmt: skip
    with pytest.raises(PictureTooLarge, match=r"more than 10 seconds"):
        decoder.read(endless(), LIMITS, 60.0)


def test_closing_does_not_wait_for_a_picture(decoder: Decoder) -> None:
    decoder.read(jpeg(64, 48), LIMITS)
    raised: list[BaseException] = []

    def read() -> None:
        try:
            decoder.read(endless(), LIMITS)
        except PictureError as error:
            raised.append(error)

    thread = threading.Thread(target=read)
    thread.start()
    time.sleep(0.3)
    began = time.monotonic()
    decoder.close()
    thread.join(5)
    assert time.monotonic() - began < 2
    assert [type(error) for error in raised] == [DecoderUnavailable]
    with pytest.raises(DecoderUnavailable):
        decoder.read(jpeg(64, 48), LIMITS)


def test_one_picture_is_decoded_at_a_time_and_nobody_waits_for_ever(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoder_module, "TURN_S", 0.1)
    decoder._turn.acquire()
    try:
        with pytest.raises(TooBusy):
            decoder.read(jpeg(64, 48), LIMITS)
    finally:
        decoder._turn.release()
    assert decoder.read(jpeg(64, 48), LIMITS).width == 64


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_without_room_for_a_process_there_is_a_sentence_and_later_a_picture(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        with pytest.raises(DecoderUnavailable, match="cannot be started"):
            decoder.read(jpeg(64, 48), LIMITS)
    assert decoder.read(jpeg(64, 48), LIMITS).width == 64


def test_where_memory_runs_out_it_is_ended_rather_than_the_service(shared: Decoder) -> None:
    shared.read(jpeg(64, 48), LIMITS)
    assert Path(f"/proc/{process_of(shared).pid}/oom_score_adj").read_text().strip() == "1000"


def test_a_machine_without_memory_is_not_called_a_damaged_picture(decoder: Decoder) -> None:
    """It is the kernel that has none: the limit of the process is far above what the picture takes."""
    decoder.read(jpeg(64, 48), LIMITS)
    process = process_of(decoder)
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms + 2**20, -1))
    with pytest.raises(DecoderUnavailable, match="too little memory"):
        decoder.read(encoded(quarters(2000, 1500), ".png"), LIMITS)


def test_the_process_knows_no_secrets_and_holds_nothing_of_the_services(
    decoder: Decoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKOUT_CAMERA__SOURCE", "rtsp://admin:hunter2@10.0.0.2/")
    monkeypatch.setenv("HOME_ASSISTANT_TOKEN", "hunter2")
    with socket.create_server(("127.0.0.1", 0)) as server:
        os.set_inheritable(server.fileno(), True)
        decoder.read(jpeg(64, 48), LIMITS)
        process = process_of(decoder)
        targets = [str(entry.readlink()) for entry in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert "hunter2" not in str(process.environ())
        assert "hunter2" not in str(process.cmdline())
        assert len([target for target in targets if target.startswith("socket:")]) == 1  # its line to us
        assert not process.net_connections()
        assert len(targets) < 10


_CONFINED = """
import os, socket, subprocess, sys
from lookout.pictures.confinement import Limits
Limits()
for what in (
    lambda: socket.socket(),
    lambda: open("/tmp/lookout-confined", "w"),
    lambda: os.fork(),
    lambda: os.kill(os.getppid(), 0),
    lambda: os.execv("/bin/true", ["true"]),
    lambda: os.unlink("/tmp/lookout-confined"),
):
    try:
        what()
    except PermissionError:
        print("refused")
open("/proc/self/status").close()
print("reads")
"""


def test_the_process_can_open_no_network_write_no_file_and_start_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", _CONFINED], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["refused"] * 6 + ["reads"]


def test_the_process_dies_with_the_service(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(jpeg(64, 48))
    code = (
        "import sys, time; from lookout.pictures.decoder import Decoder; "
        "from lookout.pictures.limits import DecodeLimits; decoder = Decoder(); "
        f"decoder.read(open({str(tmp_path / 'picture.jpg')!r}, 'rb').read(), DecodeLimits()); "
        "print(decoder.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert gone(pid)


def test_a_file_that_is_not_mapped_whole_any_more_costs_one_picture(decoder: Decoder, tmp_path: Path) -> None:
    """Cut short while it is read: the kernel ends a process that looks beyond the end."""
    path = tmp_path / "shrinking.png"
    path.write_bytes(encoded(np.random.default_rng(0).integers(0, 255, (1500, 1500, 3), np.uint8), ".png"))
    with path.open("rb") as file:
        assert decoder.read(file.fileno(), LIMITS).width == 1500
        os.truncate(path, 5000)
        with pytest.raises(PictureUnreadable):
            decoder.read(file.fileno(), LIMITS)
    assert decoder.read(jpeg(64, 48), LIMITS).width == 64


@requires("slow-disk")
@pytest.mark.parametrize("extension", [".jpg", ".png", ".tiff"])
def test_a_share_without_shared_mappings_is_read_and_its_failure_is_not_the_pictures(
    decoder: Decoder, tmp_path: Path, extension: str
) -> None:
    """jacobsa/fuse#82, numpy#9894: "No such device", which was called a damaged picture."""
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    with mounts.slow(tmp_path, "uncached") as share:
        path = share.folder / f"noise{extension}"
        path.write_bytes(encoded(noise, extension))
        with path.open("rb") as file:
            assert decoder.read(file.fileno(), LIMITS).width == 400
            share.break_down()
            with pytest.raises(PictureUnreadable, match=r"file cannot be read|disk fails") as raised:
                decoder.read(file.fileno(), LIMITS)
            assert "disk or share" in raised.value.remedy

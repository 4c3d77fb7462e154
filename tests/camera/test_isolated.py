"""A source in its own process: whatever happens there, the service goes on, learns why, and nothing is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gc
import os
import queue
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from lookout.camera import create
from lookout.camera.interface import CameraOptions, EndOfSource
from lookout.camera.isolation import protocol
from lookout.camera.isolation.camera import IsolatedCamera, _messages
from lookout.camera.isolation.shared_memory import MAX_LENT
from lookout.camera.repeats import mark_of
from lookout.deadline import Deadline
from lookout.errors import CameraBusy, CameraDenied, CameraError, CameraSilent, CameraUnsupported
from lookout.frame import Frame

from tests.camera.cards import colour_of, white_corner
from tests.requires import requires

OPTIONS = CameraOptions(width=160, height=120, fps=100)
LAYOUT = protocol.Layout((120, 160, 3), "BGR", 160, 120, 0, "none", 61440)
PICTURE = protocol.Picture(0, 1.0, 1, 0, LAYOUT)
Opener = Callable[..., IsolatedCamera]


@pytest.fixture
def opened() -> Iterator[Opener]:
    cameras: list[IsolatedCamera] = []

    def open_(script: str, options: CameraOptions = OPTIONS) -> IsolatedCamera:
        camera = create(f"scripted:tests.camera.scripts:{script}", options, isolated=True)
        assert isinstance(camera, IsolatedCamera)
        cameras.append(camera)
        camera.open(Deadline.after(20))
        return camera

    yield open_
    for camera in cameras:
        camera.close()


def read_on(camera: IsolatedCamera, seconds: float = 5.0) -> None:
    """Read until it fails: frames that were under way still come."""
    while True:
        camera.read(Deadline.after(seconds))


def gone(pid: int, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.01)
                continue
        return True
    return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def memory_files() -> int:
    links = [link for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    return sum("memfd:lookout-camera" in str(link.readlink()) for link in links)


def test_frames_arrive_whole_in_order_and_with_their_own_time(opened: Opener) -> None:
    camera = opened("counting", CameraOptions(fps=200))
    last = -1
    for _ in range(100):
        frame = camera.read(Deadline.after(5))
        values = np.unique(frame.pixels)
        assert values.tolist() == [frame.sequence % 251]
        assert frame.sequence > last
        last = frame.sequence
        assert 0 <= time.monotonic() - frame.captured_at < 1
    assert camera.info.kind == "scripted"
    assert frame.source == "scripted:tests.camera.scripts:counting"
    assert frame.pixels.flags.c_contiguous
    assert not frame.pixels.flags.writeable


def test_frames_bring_the_mark_that_shows_repeats(opened: Opener) -> None:
    camera = opened("counting")
    frames = [camera.read(Deadline.after(5)) for _ in range(3)]
    assert [frame.mark for frame in frames] == [mark_of(frame.pixels) for frame in frames]
    assert len({frame.mark for frame in frames}) == 3


def test_a_frame_is_not_changed_by_later_ones(opened: Opener) -> None:
    camera = opened("counting", CameraOptions(fps=200))
    kept = [camera.read(Deadline.after(5)) for _ in range(12)]
    for frame in kept:
        assert np.all(frame.pixels == frame.sequence % 251)


def test_a_frame_is_shown_where_it_lies_and_copied_only_where_too_many_are_looked_at(opened: Opener) -> None:
    camera = opened("counting", CameraOptions(fps=200))
    kept = [camera.read(Deadline.after(5)) for _ in range(2 * protocol.SLOTS)]
    own = [frame.pixels.flags.owndata for frame in kept]
    assert own == [False] * MAX_LENT + [True] * (len(kept) - MAX_LENT)
    corner = kept[0].pixels[4:8, 4:8, 0]  # a view of a view: its slot is still looked at
    number = kept[0].sequence
    kept.clear()
    for _ in range(40):
        frame = camera.read(Deadline.after(5))
        assert not frame.pixels.flags.owndata, "the slots came back"
    assert np.all(corner == number % 251)


def test_a_thousand_frames_pass_while_viewers_on_other_threads_hold_old_ones(opened: Opener) -> None:
    """None of them changes while it is held, and the camera never runs out of slots."""
    camera = opened("counting", CameraOptions(fps=500))
    waiting: queue.Queue[Frame | None] = queue.Queue(maxsize=6)
    torn: list[int] = []

    def look() -> None:
        held: deque[Frame] = deque(maxlen=3)
        while (frame := waiting.get()) is not None:
            held.append(frame)
            torn.extend(old.sequence for old in held if not np.all(old.pixels == old.sequence % 251))

    viewers = [threading.Thread(target=look, daemon=True) for _ in range(2)]
    for viewer in viewers:
        viewer.start()
    lent = 0
    for number in range(1000):
        frame = camera.read(Deadline.after(5))
        lent += not frame.pixels.flags.owndata
        with contextlib.suppress(queue.Full):
            waiting.put_nowait(frame)
        if number % 100 == 0:
            time.sleep(0.05)  # the slots run full
    for _ in viewers:
        waiting.put(None)
    for viewer in viewers:
        viewer.join()
    assert torn == []
    assert lent > 0


def test_a_frame_outlives_its_camera_and_its_successor(opened: Opener) -> None:
    camera = opened("counting", CameraOptions(fps=200))
    files = memory_files()
    old = camera.read(Deadline.after(5))
    assert camera.pid is not None
    os.kill(camera.pid, signal.SIGKILL)
    camera.open(Deadline.after(20))
    for _ in range(3 * protocol.SLOTS):
        newer = camera.read(Deadline.after(5))
    camera.close()
    assert np.all(old.pixels == old.sequence % 251)
    assert np.all(newer.pixels == newer.sequence % 251)
    del old, newer
    assert memory_files() < files, "the memory goes with the last view of it"


def test_a_slow_reader_finds_a_recent_frame_after_the_one_that_lay_about(opened: Opener) -> None:
    camera = opened("counting", CameraOptions(fps=100))
    camera.read(Deadline.after(5))
    for _ in range(4):  # again and again: the slots of overtaken frames must come back
        time.sleep(0.1)
        camera.read(Deadline.after(5))  # lay about since the slots were full
        fresh = camera.read(Deadline.after(5))
        assert time.monotonic() - fresh.captured_at < 0.5
    assert fresh.sequence > 20
    time.sleep(0.2)
    assert camera._process is not None
    assert len(_messages(camera._process, at_most=2 * protocol.SLOTS)) == protocol.SLOTS - 2, (
        "all but this and the one before"
    )


def test_a_killed_process_is_reported_at_once_and_opens_again(opened: Opener) -> None:
    camera = opened("still")
    camera.read(Deadline.after(5))
    assert camera.pid is not None
    os.kill(camera.pid, signal.SIGKILL)
    begun = time.monotonic()
    with pytest.raises(CameraError, match=r"ended by signal 9 .SIGKILL."):
        read_on(camera)
    assert time.monotonic() - begun < 1
    camera.open(Deadline.after(20))
    assert colour_of(camera.read(Deadline.after(5)).pixels) == "red"


def test_a_stopped_process_is_silent_by_the_deadline_and_can_be_replaced(opened: Opener) -> None:
    camera = opened("still")
    camera.read(Deadline.after(5))
    pid = camera.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(CameraSilent):
        read_on(camera, 0.3)
    begun = time.monotonic()
    with pytest.raises(CameraSilent, match="has sent nothing for"):
        camera.read(Deadline.after(0.4))
    assert 0.3 < time.monotonic() - begun < 2
    camera.open(Deadline.after(20))
    assert gone(pid, 1)
    assert colour_of(camera.read(Deadline.after(5)).pixels) == "red"


def test_a_hang_in_native_code_is_silent_and_close_is_bounded(opened: Opener) -> None:
    camera = opened("two_then_hang")
    with pytest.raises(CameraSilent):
        read_on(camera, 0.3)
    pid = camera.pid
    assert pid is not None
    begun = time.monotonic()
    camera.close()
    camera.close()
    assert time.monotonic() - begun < 2
    assert gone(pid, 0.1)


def test_a_hang_while_opening_ends_at_the_deadline() -> None:
    camera = create("scripted:tests.camera.scripts:hang_at_once", OPTIONS, isolated=True)
    begun = time.monotonic()
    with pytest.raises(CameraSilent, match="did not open in time"):
        camera.open(Deadline.after(1.0))
    assert time.monotonic() - begun < 3
    with pytest.raises(CameraError, match="closed"):
        camera.read(Deadline.after(1))


def test_close_from_another_thread_ends_a_read_and_an_open(opened: Opener) -> None:
    camera = opened("one_then_quiet")
    camera.read(Deadline.after(5))
    threading.Timer(0.1, camera.close).start()
    begun = time.monotonic()
    with pytest.raises(CameraError, match="closed"):
        camera.read(Deadline.after(10))
    assert time.monotonic() - begun < 2
    slow = create("scripted:tests.camera.scripts:hang_at_once", OPTIONS, isolated=True)
    threading.Timer(0.5, slow.close).start()
    with pytest.raises(CameraError):
        slow.open(Deadline.after(15))
    assert time.monotonic() - begun < 6


def test_close_counts_while_an_interpreter_is_being_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    from lookout.camera.isolation import camera as isolated_camera

    def choose(asked: str, deadline: Deadline) -> str:
        del asked, deadline
        camera.close()  # somebody pressed pause
        return sys.executable

    monkeypatch.setattr(isolated_camera, "choose", choose)
    camera = create("pi:0", OPTIONS, isolated=True)
    with pytest.raises(CameraError, match="closed while it opened"):
        camera.open(Deadline.after(15))
    assert camera.log == ()


def test_wake_ends_a_waiting_read_and_the_next_one_waits_again(opened: Opener) -> None:
    camera = opened("one_then_quiet")
    camera.read(Deadline.after(5))
    threading.Timer(0.1, camera.wake).start()
    begun = time.monotonic()
    with pytest.raises(CameraSilent):
        camera.read(Deadline.after(10))
    assert time.monotonic() - begun < 1
    with pytest.raises(CameraSilent):
        camera.read(Deadline.after(0.2))
    assert time.monotonic() - begun > 0.25


def test_errors_of_the_source_arrive_as_they_were(opened: Opener) -> None:
    with pytest.raises(CameraBusy) as busy:
        opened("busy_at_once")
    assert (busy.value.detail, busy.value.remedy) == ("Another program holds it.", "Stop that program.")
    camera = opened("denied_later")
    with pytest.raises(CameraDenied, match="Not you"):
        read_on(camera)
    with pytest.raises(CameraDenied):  # it stays reported until the camera is opened again
        camera.read(Deadline.after(1))


def test_a_fault_in_the_cameras_program_is_a_sentence_with_its_log(opened: Opener) -> None:
    camera = opened("a_bug")
    with pytest.raises(CameraError, match="ZeroDivisionError: one by none"):
        read_on(camera)
    assert any("Traceback" in line for line in camera.log)


def test_the_end_of_a_source_comes_after_its_last_frame(opened: Opener) -> None:
    camera = opened("three_then_end", CameraOptions(fps=0))
    colours = []
    with contextlib.suppress(EndOfSource):
        while True:
            colours.append(colour_of(camera.read(Deadline.after(5)).pixels))
    assert colours[-1] == "blue"
    with pytest.raises(EndOfSource):
        camera.read(Deadline.after(1))


def test_a_crash_is_reported_with_its_last_words(opened: Opener) -> None:
    camera = opened("crash")
    with pytest.raises(CameraError, match=r"signal 6 .SIGABRT.. Its last output: terminate called"):
        read_on(camera)


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [("frontend_timeout", CameraSilent, "ribbon cable"), ("held", CameraBusy, "fuser")],
)
def test_known_last_words_become_their_remedy(opened: Opener, script: str, kind: type[CameraError], words: str) -> None:
    camera = opened(script)
    with pytest.raises(kind) as raised:
        read_on(camera, 0.5)
    assert words in raised.value.remedy


def test_the_log_keeps_the_last_lines_without_credentials(opened: Opener) -> None:
    camera = opened("talkative")
    for _ in range(10):
        camera.read(Deadline.after(5))
    assert 100 < len(camera.log) <= 200
    assert camera.log[-1] == "failed to reach rtsp://cam/live"
    camera.close()
    assert camera.log[-1] == "failed to reach rtsp://cam/live"


def test_a_picture_that_outgrows_its_slot_asks_for_a_restart(opened: Opener) -> None:
    camera = opened("growing")
    with pytest.raises(CameraError, match="became larger"):
        read_on(camera)


class Liar:
    """Stands where the child stands and says what it likes."""

    def __init__(self, camera: IsolatedCamera) -> None:
        process = camera._process
        assert process is not None
        ours, self.line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        process.line.close()
        process.line = ours
        process._incoming = select.poll()
        process._incoming.register(ours, select.POLLIN)


@pytest.mark.parametrize("behind", [b"", dataclasses.replace(PICTURE, slot=0).pack()])
def test_a_picture_in_a_slot_that_is_looked_at_is_nonsense(opened: Opener, behind: bytes) -> None:
    """Nobody may be shown a picture that changes, and no slot that is looked at is given back."""
    camera = opened("one_then_quiet")
    frame = camera.read(Deadline.after(5))
    assert camera._pictures is not None
    slot = next(slot for slot in range(protocol.SLOTS) if camera._pictures.is_any_lent([slot]))
    liar = Liar(camera)
    liar.line.send(dataclasses.replace(PICTURE, slot=slot).pack())
    if behind:
        liar.line.send(behind)
    with pytest.raises(CameraError, match="an invalid message"):
        camera.read(Deadline.after(2))
    assert colour_of(frame.pixels) == "red"
    liar.line.close()


@pytest.mark.parametrize(
    "lie",
    [
        b"P" + bytes(10),
        dataclasses.replace(PICTURE, slot=9).pack(),
        dataclasses.replace(PICTURE, layout=dataclasses.replace(LAYOUT, bytes_per_slot=1 << 27)).pack(),
        dataclasses.replace(
            PICTURE, layout=dataclasses.replace(LAYOUT, shape=(40_000, 300), bytes_per_slot=12_001_280)
        ).pack(),
    ],
)
def test_nonsense_from_the_process_is_an_error_and_no_crash(opened: Opener, lie: bytes) -> None:
    """Its numbers are used as addresses in memory, so none may be believed."""
    camera = opened("one_then_quiet")
    camera.read(Deadline.after(5))
    liar = Liar(camera)
    liar.line.send(lie)
    with pytest.raises(CameraError, match="an invalid message"):
        camera.read(Deadline.after(2))
    liar.line.close()


def test_an_error_is_heard_even_when_the_process_left_without_reading(opened: Opener) -> None:
    """The kernel then reports a reset before it hands out what still lies on the line."""
    camera = opened("one_then_quiet")
    camera.read(Deadline.after(5))
    liar = Liar(camera)
    liar.line.send(PICTURE.pack())
    camera.read(Deadline.after(2))  # gives the slot back, which nobody reads
    liar.line.send(protocol.pack_error(CameraDenied("Not you.", "Ask the owner.")))
    liar.line.close()
    with pytest.raises(CameraDenied, match="Not you"):
        camera.read(Deadline.after(2))


def test_what_the_source_started_ends_with_it(opened: Opener) -> None:
    camera = opened("with_a_grandchild")
    frame = camera.read(Deadline.after(5))
    pid = int.from_bytes(frame.pixels.reshape(-1)[:4].tobytes(), "little")
    assert psutil.pid_exists(pid)
    camera.close()
    assert gone(pid, 2)


def test_credentials_are_on_no_command_line_and_in_no_environment() -> None:
    camera = create("rtsp://admin:hunter22@127.0.0.1:9/live", OPTIONS, isolated=True)
    assert isinstance(camera, IsolatedCamera)
    seen: list[str] = []

    def look() -> None:
        while camera.pid is None:
            time.sleep(0.001)
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(camera.pid)
            seen.append(" ".join(process.cmdline()) + str(process.environ()))

    watcher = threading.Thread(target=look)
    watcher.start()
    with pytest.raises(CameraError) as raised:
        camera.open(Deadline.after(10))
    watcher.join()
    assert seen
    for text in (*seen, str(raised.value), repr(raised.value), *camera.log, repr(camera)):
        assert "hunter22" not in text


def test_the_source_turns_pictures_the_same_way_isolated_or_not() -> None:
    options = CameraOptions(width=64, height=48, rotate=180)
    plain = create("demo", options, isolated=False)
    plain.open(Deadline.after(5))
    expected = white_corner(plain.read(Deadline.after(5)).pixels)
    plain.close()
    camera = create("demo", options, isolated=True)
    camera.open(Deadline.after(20))
    assert white_corner(camera.read(Deadline.after(5)).pixels) == expected
    camera.close()


@requires("system-python")
def test_the_child_runs_under_an_interpreter_without_our_dependencies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Pi camera's arrangement, with a scripted source that needs only NumPy."""
    from lookout.camera.isolation import camera

    monkeypatch.setattr(camera.sys, "executable", "/usr/bin/python3")
    root = str(Path(__file__).parents[2])
    monkeypatch.setattr(camera.sys, "path", [root])
    camera = create("scripted:tests.camera.scripts:still", OPTIONS, isolated=True)
    assert isinstance(camera, IsolatedCamera)
    camera.open(Deadline.after(20))
    assert colour_of(camera.read(Deadline.after(5)).pixels) == "red"
    assert camera.pid is not None
    maps = Path(f"/proc/{camera.pid}/maps").read_text()
    assert "numpy" in maps
    assert "cv2" not in maps
    assert sys.prefix not in maps
    camera.close()


def test_an_interpreter_that_cannot_be_started_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from lookout.camera.isolation import camera

    monkeypatch.setattr(camera.sys, "executable", "/no/such/python")
    before = descriptors()
    with pytest.raises(CameraUnsupported, match="/no/such/python"):
        create("demo", OPTIONS, isolated=True).open(Deadline.after(5))
    assert descriptors() <= before + 1  # the flag of the camera object, if it still lives


def test_a_start_that_runs_out_of_descriptors_leaves_no_process_and_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from lookout.camera.isolation import process

    def used_up(pid: int) -> int:
        started.append(pid)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    started: list[int] = []
    monkeypatch.setattr(process.os, "pidfd_open", used_up)
    camera = create("scripted:tests.camera.scripts:still", OPTIONS, isolated=True)
    gc.collect()  # cameras of earlier tests still hold some
    before = descriptors()
    with pytest.raises(OSError, match="Too many open files"):
        camera.open(Deadline.after(5))
    assert descriptors() == before
    assert gone(started[0], 2)


PARENT = """
import sys, time
from lookout.camera import create
from lookout.camera.interface import CameraOptions
from lookout.deadline import Deadline
from lookout.frame import Frame
camera = create(f"scripted:tests.camera.scripts:{sys.argv[1]}", CameraOptions(fps=50), isolated=True)
camera.open(Deadline.after(20))
camera.read(Deadline.after(5))
print(camera.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("script", ["still", "two_then_hang"])
@pytest.mark.parametrize("stopped", [False, True])
def test_the_process_dies_with_the_service_however_that_ends(script: str, stopped: bool) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, script], stdout=subprocess.PIPE, text=True, cwd=root
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert psutil.pid_exists(pid)
        if stopped:
            os.kill(pid, signal.SIGSTOP)
        parent.kill()
        assert gone(pid, 2)


def test_a_ctrl_c_at_the_terminal_does_not_reach_the_process(opened: Opener) -> None:
    camera = opened("still")
    assert camera.pid is not None
    assert os.getsid(camera.pid) == camera.pid
    assert os.getpgid(camera.pid) != os.getpgid(0)


def test_the_thread_that_opened_may_end(opened: Opener) -> None:
    cameras: list[IsolatedCamera] = []
    thread = threading.Thread(target=lambda: cameras.append(opened("still")))
    thread.start()
    thread.join()
    for _ in range(20):
        cameras[0].read(Deadline.after(5))


def test_respawns_leave_no_descriptor_no_process_and_no_memory_file(opened: Opener) -> None:
    """LOOKOUT_RESPAWNS=1000 for the long run; each way of ending takes its turn."""
    rounds = int(os.environ.get("LOOKOUT_RESPAWNS", "45"))
    camera = opened("still")
    camera.read(Deadline.after(5))
    me = psutil.Process()
    before, files = descriptors(), memory_files()
    memory, threads = me.memory_info().rss, threading.active_count()
    for number in range(rounds):
        pid = camera.pid
        assert pid is not None
        if number % 3 == 1:
            os.kill(pid, signal.SIGKILL)
        elif number % 3 == 2:
            os.kill(pid, signal.SIGSTOP)
            camera._frame_at = 0.0  # as after a silence: it is not waited for
        camera.open(Deadline.after(20))
        camera.read(Deadline.after(5))
    assert descriptors() <= before
    assert threading.active_count() <= threads
    children = [child for child in me.children() if "child.py" in " ".join(child.cmdline())]
    assert [child.pid for child in children] == [camera.pid]
    assert memory_files() <= files
    assert me.memory_info().rss - memory < 5_000_000


def test_the_shared_file_cannot_be_shrunk_under_us(opened: Opener) -> None:
    camera = opened("still")
    camera.read(Deadline.after(5))
    process = camera._process
    assert process is not None
    with pytest.raises(PermissionError):
        os.ftruncate(process.memory, 0)


def test_a_camera_that_is_dropped_ends_its_process() -> None:
    camera = create("scripted:tests.camera.scripts:still", OPTIONS, isolated=True)
    assert isinstance(camera, IsolatedCamera)
    camera.open(Deadline.after(20))
    pid = camera.pid
    assert pid is not None
    del camera
    assert gone(pid, 3)

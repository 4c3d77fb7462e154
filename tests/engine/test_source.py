"""A camera kept alive: what the source says of itself through every trouble. Time is a number that the tests move."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from lookout.camera.interface import CameraInfo, CameraOptions, EndOfSource
from lookout.deadline import Deadline
from lookout.engine import source as source_module
from lookout.engine.source import FIRST_FRAME_S, READ_SLICE_S, Source, options_of
from lookout.errors import CameraAbsent, CameraBusy, CameraError, CameraSilent, CameraUnsupported, CameraWaiting
from lookout.frame import Frame
from lookout.settings.schema import CameraSettings
from lookout.state.state import CameraState

STALE_S = 2.0
SILENT = CameraSilent("The camera sends nothing.", "Wait.")
ABSENT = CameraAbsent("No camera was found.", "Connect one.")
BUSY = CameraBusy("Another program holds the camera.", "Close it.")


class World:
    """The clock, and what cameras do: `opens` and `reads` may be changed at any time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.opens: Callable[[], object] = lambda: None
        self.reads: Callable[[], Frame] = self.frame
        self.made: list[FakeCamera] = []
        self.asked: list[tuple[str, CameraOptions]] = []
        self.notes: tuple[str, ...] = ()
        self.live = True
        self.size = (64, 48)
        self._random = np.random.default_rng(0)
        self._sequence = 0

    def monotonic(self) -> float:
        return self.now

    def make(self, address: str, options: CameraOptions) -> FakeCamera:
        self.asked.append((address, options))
        self.made.append(FakeCamera(self))
        return self.made[-1]

    def frame(self, pixels: np.ndarray | None = None, skipped: int = 0, after_s: float = 1 / 15) -> Frame:
        """The next frame, a fifteenth of a second later; by default no two look alike."""
        self.now += after_s
        if pixels is None:
            width, height = self.size
            pixels = self._random.integers(0, 256, (height, width, 3), np.uint8)
        self._sequence += 1 + skipped
        return Frame(pixels, self.now, self._sequence, "fake")

    def silence(self) -> Frame:
        self.now += READ_SLICE_S
        raise SILENT

    def waiting(self) -> Frame:
        self.now += READ_SLICE_S
        raise CameraWaiting("Data comes, but no picture.", "Wait.")

    def idle(self, seconds: float) -> None:
        self.now += seconds


class FakeCamera:
    def __init__(self, world: World) -> None:
        self._world = world
        self.is_open = False

    @property
    def info(self) -> CameraInfo:
        return CameraInfo("scripted", "fake sensor", 64, 48, 15.0, self._world.live, self._world.notes)

    def open(self, _: Deadline) -> None:
        self._world.opens()
        self.is_open = True

    def read(self, _: Deadline) -> Frame:
        assert self.is_open
        return self._world.reads()

    def close(self) -> None:
        self.is_open = False


def raising(error: BaseException) -> Callable[..., Any]:
    def do(*_: object) -> Any:
        raise error

    return do


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(source_module, "time", SimpleNamespace(monotonic=made.monotonic))
    return made


def source_of(world: World, **settings: Any) -> Source:
    usual: dict[str, Any] = {"source": "scripted:fake:fake", "stale_after_s": STALE_S}
    return Source(CameraSettings.model_validate(usual | settings), world.make, world.now)


def state(source: Source, world: World) -> CameraState:
    return source.state(world.now)


def run(source: Source, world: World, seconds: float) -> list[Frame]:
    """Let the worker step for that long; the frames it got."""
    frames, end = [], world.now + seconds
    while world.now < end:
        before = world.now
        frame = source.step(world.idle)
        frames += [frame] if frame else []
        world.now += 1e-3 if world.now == before else 0.0  # opening takes a moment
    return frames


def streaming(world: World, **settings: Any) -> Source:
    source = source_of(world, **settings)
    run(source, world, 1.0)
    assert state(source, world).status == "streaming"
    return source


# --- all is well ------------------------------------------------------------------------------------------------


def test_it_opens_then_streams_and_reports_what_is_really_delivered(world: World) -> None:
    source = source_of(world)
    assert (state(source, world).status, state(source, world).retry_at) == ("opening", None)
    frames = run(source, world, 2.0)
    shown = state(source, world)
    assert (shown.status, shown.name, shown.width, shown.height) == ("streaming", "fake sensor", 64, 48)
    assert shown.frames_per_s == pytest.approx(15.0, rel=0.01)
    assert len(frames) == pytest.approx(30, abs=1)
    assert (shown.restarts, shown.fault, shown.retry_at) == (0, None, None)
    assert shown.since == pytest.approx(1000.0, abs=0.1)


def test_the_rate_is_sent_a_few_times_a_second_and_at_once_when_the_status_turns(world: World) -> None:
    source = streaming(world)
    reported = state(source, world)
    run(source, world, 0.5 * source_module.RATE_EVERY_S)
    assert state(source, world) is reported
    for _ in range(60):  # the camera slows down
        world.now += 0.2
        source.step(world.idle)
    assert state(source, world).frames_per_s < 0.5 * reported.frames_per_s
    source.pause()
    assert (state(source, world).status, state(source, world).frames_per_s) == ("paused", 0.0)


def test_the_camera_is_asked_for_what_the_settings_say(world: World) -> None:
    settings: dict[str, Any] = {"width": 800, "height": 600, "fps": 20.0, "rotate": 90, "flip": "both"}
    settings |= {"controls": {"ExposureTime": 5}, "python": "/usr/bin/python3"}
    source = source_of(world, **settings)
    source.step(world.idle)
    address, options = world.asked[0]
    assert address == "scripted:fake:fake"
    assert options == CameraOptions(**settings)
    assert options_of(CameraSettings.model_validate({})).fps == 15.0


def test_what_could_not_be_had_is_reported(world: World) -> None:
    world.notes = ("There is no autofocus.",)
    assert state(streaming(world), world).notes == world.notes


def test_passwords_are_not_shown(world: World) -> None:
    source = source_of(world, source="rtsp://user:secret@host/stream")
    assert "secret" not in state(source, world).source
    run(source, world, 0.1)
    assert world.asked[0][0] == "rtsp://user:secret@host/stream"


def test_frames_lost_on_the_way_are_counted_and_a_reopening_is_not_a_loss(world: World) -> None:
    source = streaming(world)
    assert source.dropped_frames == 0
    world.reads = lambda: world.frame(skipped=2)
    source.step(world.idle), source.step(world.idle)
    assert source.dropped_frames == 4
    world.reads = raising(CameraError("It broke.", "Mend it."))
    source.step(world.idle)
    world.reads = lambda: world.frame(skipped=1000)
    source.step(world.idle), source.step(world.idle)
    assert state(source, world).status == "streaming"
    assert source.dropped_frames == 4


def test_no_number_of_a_frame_comes_twice_however_often_the_camera_opens(world: World) -> None:
    source = streaming(world)
    before = run(source, world, 1.0)
    world.reads = raising(CameraError("It broke.", "Mend it."))
    source.step(world.idle)
    world._sequence, world.reads = -1, world.frame  # a camera that is opened again counts from 0 again
    after = run(source, world, 1.0)
    source.pause()
    source.resume()
    world._sequence = -1
    numbers = [frame.sequence for frame in before + after + run(source, world, 1.0)]
    assert len(numbers) > 30
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert source.dropped_frames == 0


# --- no camera --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ABSENT, "absent"),
        (CameraUnsupported("There is no picamera2.", "Install it."), "absent"),
        (BUSY, "failed"),
        (SILENT, "failed"),
    ],
)
def test_a_camera_that_cannot_be_opened_is_reported_with_reason_remedy_and_next_try(
    world: World, error: CameraError, status: str
) -> None:
    world.opens = raising(error)
    source = source_of(world)
    source.step(world.idle)
    shown = state(source, world)
    assert shown.status == status
    assert shown.fault is not None
    assert (shown.fault.code, shown.fault.detail, shown.fault.remedy) == (error.code, error.detail, error.remedy)
    assert shown.retry_at == world.now + 1.0
    assert shown.restarts == 0


def test_it_keeps_looking_with_growing_pauses_and_finds_the_camera_that_appears(world: World) -> None:
    tries: list[float] = []
    world.opens = lambda: tries.append(world.now) or raising(ABSENT)()
    source = source_of(world)
    run(source, world, 70.0)
    assert state(source, world).since == pytest.approx(1000.0, abs=0.1), "absent all the while"
    assert np.diff(tries) == pytest.approx([1, 2, 4, 8, 16, 30], abs=0.2)
    world.opens = lambda: None
    run(source, world, 30.0)
    shown = state(source, world)
    assert (shown.status, shown.fault, shown.retry_at) == ("streaming", None, None)


def test_every_camera_that_failed_to_open_was_closed(world: World) -> None:
    world.opens = raising(BUSY)
    closed: list[FakeCamera] = []
    source = source_of(world)
    original = FakeCamera.close
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeCamera, "close", lambda camera: closed.append(camera) or original(camera))
        run(source, world, 20.0)
    assert closed == world.made


def test_the_log_reports_a_problem_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.opens = raising(ABSENT)
    with caplog.at_level(logging.WARNING):
        run(source_of(world), world, 100.0)
    assert len(caplog.records) == 1


# --- a camera that stops ----------------------------------------------------------------------------------------


def test_a_camera_that_falls_silent_is_called_stalled_within_its_deadline_and_reopened_at_once(world: World) -> None:
    source = streaming(world)
    world.reads = world.silence
    last = world.now
    while state(source, world).status == "streaming":
        source.step(world.idle)
    assert STALE_S <= world.now - last <= STALE_S + 0.2
    shown = state(source, world)
    assert (shown.status, shown.restarts, shown.frames_per_s) == ("stalled", 1, 0.0)
    assert shown.retry_at == world.now, "the first try is made at once"
    assert shown.since == world.now
    assert not world.made[0].is_open
    world.reads = world.frame
    run(source, world, 0.3)
    assert state(source, world).status == "streaming"
    assert len(world.made) == 2


def test_a_camera_that_breaks_while_it_streams_is_stalled_with_its_reason(world: World) -> None:
    source = streaming(world)
    world.reads = raising(CameraError("The cable came off.", "Push it in."))
    source.step(world.idle)
    shown = state(source, world)
    assert shown.status == "stalled"
    assert shown.fault is not None
    assert shown.fault.detail == "The cable came off."


def test_a_camera_that_is_unplugged_is_absent(world: World) -> None:
    source = streaming(world)
    world.reads = world.opens = raising(ABSENT)
    run(source, world, 0.5)
    assert state(source, world).status == "absent"


def test_after_the_immediate_try_the_pauses_grow(world: World) -> None:
    source = streaming(world)
    tries: list[float] = []
    world.opens = lambda: tries.append(world.now) or raising(BUSY)()
    world.reads = raising(BUSY)
    lost = world.now
    run(source, world, 40.0)
    assert tries[0] == pytest.approx(lost, abs=0.05)
    assert np.diff(tries) == pytest.approx([1, 2, 4, 8, 16], abs=0.2)


def test_a_first_frame_gets_more_time(world: World) -> None:
    world.reads = world.silence
    source = source_of(world)
    run(source, world, FIRST_FRAME_S - 0.2)
    assert state(source, world).status == "opening"
    run(source, world, 0.5)
    assert state(source, world).status == "stalled"


def test_a_slow_camera_gets_all_the_time_its_setting_promises(world: World) -> None:
    """A frame every 20 s is what long exposures take; `stale_after_s` of 60 allows it, from the first frame on."""
    world.reads = lambda: world.frame(after_s=20.0)
    source = source_of(world, stale_after_s=60.0)

    def silence_then_frame() -> Frame:
        while world.now < 1020.0:
            world.silence()
        return world.frame(after_s=20.0)

    world.reads = silence_then_frame
    run(source, world, 200.0)
    assert (state(source, world).status, state(source, world).restarts) == ("streaming", 0)


def test_silence_shorter_than_the_limit_is_not_a_problem(world: World) -> None:
    source = streaming(world)
    for _ in range(5):
        world.reads = world.silence
        run(source, world, STALE_S - 0.3)
        world.reads = world.frame
        source.step(world.idle)
    assert (state(source, world).status, state(source, world).restarts) == ("streaming", 0)


# --- a driver that is stuck -------------------------------------------------------------------------------------


def noise() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (48, 64, 3), np.uint8)


def test_a_camera_that_repeats_one_picture_is_stalled_and_not_believed_until_it_shows_something_new(
    world: World,
) -> None:
    source = streaming(world)
    world.reads = lambda: world.frame(noise())
    started = world.now
    while state(source, world).status == "streaming":
        source.step(world.idle)
    assert world.now - started <= STALE_S + 1.0
    fault = state(source, world).fault
    assert fault is not None
    assert fault.code == "camera_repeats"
    assert run(source, world, 20.0) == [], "reopened again and again, it still shows the same"
    assert state(source, world).status == "stalled"
    assert len(world.made) > 3
    world.reads = world.frame
    run(source, world, 31.0)
    assert (state(source, world).status, state(source, world).fault) == ("streaming", None)


def test_repeats_may_be_ignored_for_synthetic_streams(world: World) -> None:
    source = streaming(world, repeats="ignore")
    world.reads = lambda: world.frame(noise())
    run(source, world, 10.0)
    assert state(source, world).status == "streaming"


def test_a_camera_reopened_for_another_reason_is_judged_afresh(world: World) -> None:
    source = streaming(world)
    for _ in range(3):
        world.reads = lambda: world.frame(noise())
        run(source, world, STALE_S - 0.5)
        assert state(source, world).status == "streaming"
        world.reads = raising(BUSY)
        source.step(world.idle)
        world.now += 31.0


def test_a_still_picture_in_a_folder_is_not_a_stuck_driver(world: World) -> None:
    world.live = False
    world.reads = lambda: world.frame(noise())
    source = source_of(world, source="folder:photos")
    run(source, world, 10.0)
    assert state(source, world).status == "streaming"


# --- files ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_over_is_over(world: World) -> None:
    world.live = False
    source = source_of(world, source="file:clip.mp4")
    run(source, world, 1.0)
    world.reads = raising(EndOfSource())
    assert run(source, world, 60.0) == []
    shown = state(source, world)
    assert (shown.status, shown.fault, shown.restarts, shown.frames_per_s) == ("ended", None, 0, 0.0)
    assert [camera.is_open for camera in world.made] == [False], "closed, and not opened again"


def test_a_source_that_is_over_before_it_begins_is_over_too(world: World) -> None:
    world.opens = raising(EndOfSource())
    source = source_of(world, source="folder:empty")
    run(source, world, 10.0)
    assert state(source, world).status == "ended"
    assert len(world.made) == 1


def test_a_file_may_take_its_time(world: World) -> None:
    world.live = False
    source = source_of(world, source="file:clip.mp4")
    run(source, world, 1.0)
    world.reads = world.waiting
    run(source, world, 100.0)
    assert state(source, world).restarts == 0


def test_a_file_whose_disk_does_not_answer_is_called_stalled(world: World) -> None:
    world.live = False
    source = source_of(world, source="file:clip.mp4")
    run(source, world, 1.0)
    world.reads = world.silence
    run(source, world, 12.0)
    assert state(source, world).status == "stalled"
    assert state(source, world).fault is not None


def test_a_stream_without_a_key_frame_yet_is_waited_for_and_says_so(world: World) -> None:
    """crumbvms/crumb-vms#114, valentinfrlch/ha-video-vision#120: key frames a minute apart, and never a picture."""
    source = source_of(world, source="rtsp://camera/live")
    world.reads = world.waiting
    run(source, world, 60.0)
    waiting = state(source, world)
    assert (waiting.status, waiting.restarts, len(world.made)) == ("opening", 0, 1)
    assert waiting.fault is not None
    assert waiting.fault.code == "camera_waiting"
    world.reads = world.frame
    run(source, world, 1.0)
    assert state(source, world).status == "streaming"
    assert state(source, world).fault is None


def test_a_stream_that_changes_its_size_is_as_large_as_its_frames(world: World) -> None:
    source = streaming(world)
    world.size = (96, 48)
    run(source, world, 1.0)
    assert (state(source, world).width, state(source, world).height) == (96, 48)
    assert state(source, world).restarts == 0


# --- drivers that raise what they like --------------------------------------------------------------------------


@pytest.mark.parametrize(("where", "status"), [("opens", "failed"), ("reads", "stalled")])
def test_an_error_that_is_none_of_ours_is_a_trouble_like_any_other(
    world: World, where: str, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = source_of(world)
    setattr(world, where, raising(RuntimeError("rtsp://user:secret@host broke")))
    run(source, world, 0.5)
    shown = state(source, world)
    assert shown.status == status
    assert shown.fault is not None
    assert shown.fault.code == "camera_fault"
    assert "broke" in shown.fault.detail
    assert "secret" not in shown.fault.detail
    assert "RuntimeError" in caplog.text, "the log has it all"


def test_a_driver_that_opens_but_cannot_say_what_it_is_failed_to_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeCamera, "info", property(raising(RuntimeError("no such property"))))
    source = source_of(world)
    run(source, world, 1.0)
    assert state(source, world).status == "failed"
    assert not any(camera.is_open for camera in world.made)


def test_an_error_without_words_is_named(world: World) -> None:
    world.opens = raising(MemoryError())
    source = source_of(world)
    source.step(world.idle)
    fault = state(source, world).fault
    assert fault is not None
    assert "MemoryError" in fault.detail


# --- pause, interruption ----------------------------------------------------------------------------------------


def test_a_pause_closes_the_camera_and_resuming_starts_over(world: World) -> None:
    source = streaming(world)
    source.pause()
    shown = state(source, world)
    assert (shown.status, shown.frames_per_s, shown.fault) == ("paused", 0.0, None)
    assert not world.made[-1].is_open
    world.now += 1000.0
    source.resume()
    assert state(source, world).status == "opening"
    run(source, world, 0.3)
    assert (state(source, world).status, state(source, world).restarts) == ("streaming", 0)


def test_a_pause_forgets_the_troubles_before_it(world: World) -> None:
    world.opens = raising(ABSENT)
    source = source_of(world)
    run(source, world, 20.0)
    source.pause()
    assert state(source, world).fault is None
    world.opens = lambda: None
    source.resume()
    source.step(world.idle)
    assert world.made[-1].is_open, "at once, whatever pause was due"


@pytest.mark.parametrize("where", ["opens", "reads"])
def test_a_camera_cut_short_by_us_is_not_a_problem_of_its_own(world: World, where: str) -> None:
    source = source_of(world)
    run(source, world, 1.0 if where == "reads" else 0.0)

    def interrupted() -> Any:
        source.interrupt()
        assert not world.made[-1].is_open
        raise CameraError("The camera was closed.", "Open it.")

    setattr(world, where, interrupted)
    source.step(world.idle)
    shown = state(source, world)
    assert (shown.fault, shown.restarts) == (None, 0)
    setattr(world, where, world.frame)
    run(source, world, 0.3)
    assert state(source, world).status == "streaming"
    world.reads = raising(BUSY)
    source.step(world.idle)
    assert state(source, world).status == "stalled", "the next trouble is one"


def test_an_interruption_while_the_camera_is_made_opens_it_no_more(world: World) -> None:
    """Making it imports its libraries, which takes a while: a pause that comes meanwhile does not wait for more."""
    make = world.make

    def slowly(address: str, options: CameraOptions) -> Any:
        source.interrupt()
        world.make = make  # type: ignore[method-assign]
        return make(address, options)

    world.make = slowly  # type: ignore[method-assign]
    source = Source(CameraSettings(source="scripted:fake:fake"), lambda *args: world.make(*args), world.now)
    source.step(world.idle)
    assert not world.made[-1].is_open
    assert state(source, world).fault is None
    source.step(world.idle)
    assert world.made[-1].is_open, "once what it was for is done"


def test_an_interruption_that_came_too_late_hides_no_later_trouble(world: World) -> None:
    source = source_of(world)
    source.interrupt()
    run(source, world, 1.0)
    world.reads = raising(BUSY)
    source.step(world.idle)
    assert state(source, world).status == "stalled"


def test_an_interruption_excuses_one_complaint_and_no_second(world: World) -> None:
    world.opens = raising(BUSY)
    source = source_of(world)
    source.interrupt()
    source.step(world.idle)
    assert state(source, world).fault is None
    source.step(world.idle)
    assert state(source, world).status == "failed"


def test_closing_twice_is_fine(world: World) -> None:
    source = streaming(world)
    source.close()
    source.close()
    assert not world.made[-1].is_open

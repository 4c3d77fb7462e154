"""The worker and its verbs: from a camera to the hub, with cameras and networks that the tests command."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from lookout.camera.interface import CameraInfo, CameraOptions
from lookout.camera.sources.scripted import Repeat, ScriptedCamera, Show
from lookout.deadline import Deadline
from lookout.engine import source as source_module
from lookout.engine import worker as engine_module
from lookout.engine.worker import Engine
from lookout.errors import CameraAbsent, CameraError, CameraSilent, ModelBusy, ModelRejected, TooBusy, UnknownModel
from lookout.frame import Frame
from lookout.pipeline.classifier import Classifier
from lookout.registry import loader
from lookout.settings.schema import Settings
from lookout.state.hub import Hub
from lookout.state.state import State, is_current, status

from tests.models import BLUE, GREEN, RED, colour_graph, picture, write_model
from tests.support.engines import Bench, FakeCamera, eventually, is_ok, latest, settings_of

# --- from camera to answer --------------------------------------------------------------------------------------


def test_red_green_and_blue_cards_become_cat_dog_and_nobody(bench: Bench) -> None:
    """Through the scripted camera that ships, the whole pipeline, and the hub."""
    steps = [Repeat([Show(picture(color))], 10) for color in (RED, GREEN, BLUE)]
    engine = bench.engine(lambda _, options: ScriptedCamera("cards", options, steps), settings_of(camera={"fps": 30}))
    engine.start()
    assert eventually(engine, lambda state: state.answer.label is not None).answer.label == "cat"
    eventually(engine, lambda state: state.answer.label == "dog")
    eventually(engine, lambda state: state.answer.reason == "reject")
    news, missed = engine.hub.transitions(0)  # type: ignore[attr-defined]
    labels = [transition.state.answer.label for transition in news]
    assert [label for label in dict.fromkeys(labels) if label] == ["cat", "dog"]
    assert missed == 0


def test_a_state_has_frame_prediction_and_times(bench: Bench) -> None:
    engine = bench.running()
    state = eventually(engine, lambda state: is_ok(state) and state.timing.publish > 0)
    assert state.frame is not None
    assert state.prediction is not None
    assert state.prediction.frame_id <= state.frame.sequence
    assert state.prediction.probabilities[0] > 0.99
    assert is_current(state, time.monotonic())
    assert min(state.timing.preprocess, state.timing.inference, state.timing.postprocess) > 0
    assert state.model is not None
    assert (state.model.name, state.model.precision) == ("colours", "fp32")
    assert state.model.labels == ("cat", "dog", "neither")


def test_every_state_is_one_further_and_of_one_instance(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[State] = []
    monkeypatch.setattr(Hub, "publish", lambda _, state: seen.append(state))
    engine = bench.running()
    time.sleep(0.3)
    engine.stop()
    assert [state.sequence for state in seen] == list(range(2, len(seen) + 2))
    assert len({state.instance for state in seen}) == 1


def test_a_slow_network_gets_the_newest_frame_and_the_rest_is_counted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    classify = Classifier.classify

    def slow(*args: Any, **more: Any) -> Any:
        time.sleep(0.05)
        return classify(*args, **more)

    engine = bench.engine(FakeCamera(fps=200))
    monkeypatch.setattr(Classifier, "classify", slow)
    engine.start()
    state = eventually(engine, lambda state: state.rate.classifications_per_s > 0 and state.rate.dropped_frames > 50)
    assert state.prediction is not None
    assert state.frame is not None
    assert state.prediction.frame_id == state.frame.sequence, "classified as it comes, not from a queue"
    assert time.monotonic() - state.prediction.captured_at < 0.5
    assert 5 < state.rate.classifications_per_s <= 20
    assert state.rate.limited_by == "inference"


# --- the rate, on a clock of the tests' own ---------------------------------------------------------------------


class Stepped:
    """An engine without a thread, stepped by hand on a clock of its own; frames come at `fps`."""

    def __init__(self, bench: Bench, monkeypatch: pytest.MonkeyPatch, settings: Settings, fps: float) -> None:
        self.now, self.fps, self.sequence = 1000.0, fps, -1
        self.slowness_s = 0.0
        self.broken: CameraError | None = None
        clock = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr(source_module, "time", clock)
        monkeypatch.setattr(engine_module, "time", clock)
        self.engine = bench.engine(lambda *_: self, settings)
        self.engine._thread = SimpleNamespace(start=lambda: None, is_alive=lambda: False)  # type: ignore[assignment]
        self.engine.start()
        self.info = CameraInfo("scripted", "fake", 64, 48, fps, live=True)
        self.pixels = picture(RED, 64, 48)
        classify = Classifier.classify

        def slowly(*args: Any, **more: Any) -> Any:
            self.now += self.slowness_s
            return classify(*args, **more)

        monkeypatch.setattr(Classifier, "classify", slowly)

    def __call__(self, *_: Any) -> Stepped:
        return self

    def open(self, _: Deadline) -> None: ...

    def close(self) -> None: ...

    def read(self, _: Deadline) -> Frame:
        if self.broken:
            raise self.broken
        self.sequence = max(self.sequence + 1, int((self.now - 1000.0) * self.fps))
        self.now = max(self.now, 1000.0 + self.sequence / self.fps)
        return Frame(self.pixels, self.now, self.sequence, "fake")

    def run(self, seconds: float) -> int:
        """Step for that long; how many classifications there were."""
        end, count, before = self.now + seconds, 0, None
        while self.now < end:
            self.engine._step()
            self.now += 1e-6
            prediction = latest(self.engine).prediction
            count += prediction is not before
            before = prediction
        return count


@pytest.mark.parametrize(
    ("fps", "max_rate", "expected"), [(15, 10, 10), (30, 10, 10), (15, 2, 2), (5, 10, 5), (15, 0, 15)]
)
def test_on_average_it_classifies_as_often_as_the_ceiling_allows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fps: float, max_rate: float, expected: float
) -> None:
    """10 of 15 frames a second, though no two frames lie a tenth of a second apart."""
    stepped = Stepped(bench, monkeypatch, settings_of(answer={"max_rate": max_rate}), fps)
    assert stepped.run(20.0) == pytest.approx(expected * 20, abs=1)
    assert latest(stepped.engine).rate.classifications_per_s == pytest.approx(expected, rel=0.05)


def test_after_a_silence_it_does_not_catch_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped = Stepped(bench, monkeypatch, settings_of(answer={"max_rate": 10}), fps=100)
    stepped.run(5.0)
    stepped.now += 1.5
    assert stepped.run(1.0) <= 12


@pytest.mark.parametrize(
    ("fps", "max_rate", "slowness_s", "limited_by"),
    [
        (15, 10, 0.0, "max_rate"),
        (5, 10, 0.0, "camera"),
        (15, 0, 0.0, "camera"),
        (15, 10, 0.3, "inference"),
        (15, 0, 0.3, "inference"),
        (15, 0, 0.03, "camera"),
    ],
)
def test_what_limits_the_rate_is_reported(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fps: float, max_rate: float, slowness_s: float, limited_by: str
) -> None:
    stepped = Stepped(bench, monkeypatch, settings_of(answer={"max_rate": max_rate}), fps)
    stepped.slowness_s = slowness_s
    stepped.run(10.0)
    assert latest(stepped.engine).rate.limited_by == limited_by


def test_a_camera_that_is_lost_classifies_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped = Stepped(bench, monkeypatch, settings_of(), fps=15)
    stepped.run(3.0)
    stepped.broken = CameraAbsent("It was unplugged.", "Plug it in.")
    stepped.engine._step()
    state = latest(stepped.engine)
    assert (state.camera.status, state.rate.classifications_per_s) == ("absent", 0.0)
    assert state.answer.label == "cat", "the last one known"
    assert status(state, stepped.now) == "absent"


def test_two_thousand_frames_leave_nothing_behind(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    stepped = Stepped(bench, monkeypatch, settings_of(), fps=15)
    for _ in range(200):
        stepped.engine._step()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(2000):
            stepped.engine._step()
            stepped.now += 1e-6
        after = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert after - before < 20_000, "bytes"


# --- pause ------------------------------------------------------------------------------------------------------


def test_a_pause_closes_the_camera_and_shows_nothing_of_before(bench: Bench) -> None:
    camera = FakeCamera()
    engine = bench.running(camera)
    eventually(engine, lambda state: is_ok(state) and state.rate.classifications_per_s > 0)
    engine.pause(True).result(2)
    assert not camera.is_open
    state = latest(engine)
    assert status(state, time.monotonic()) == "paused"
    assert (state.camera.status, state.frame, state.prediction) == ("paused", None, None)
    assert (state.answer.label, state.answer.reason) == (None, "no_data")
    assert state.rate.classifications_per_s == 0.0
    opened = camera.opened
    time.sleep(0.2)
    assert (camera.opened, latest(engine).frame) == (opened, None)


def test_resuming_opens_it_again(bench: Bench) -> None:
    camera = FakeCamera()
    engine = bench.running(camera)
    engine.pause(True).result(2)
    camera.on_open = lambda: gate.wait(2.0) and None
    gate = threading.Event()
    engine.pause(False).result(2)
    state = latest(engine)
    assert (state.camera.status, status(state, time.monotonic())) == ("opening", "starting")
    gate.set()
    assert eventually(engine, is_ok).camera.restarts == 0


def test_a_service_that_was_paused_starts_without_touching_the_camera(bench: Bench) -> None:
    camera = FakeCamera()
    engine = bench.running(camera, paused=True)
    state = latest(engine)
    assert (status(state, time.monotonic()), state.camera.status) == ("paused", "paused")
    time.sleep(0.1)
    assert camera.opened == 0


def test_pausing_is_not_a_problem_of_the_cameras(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    engine = bench.running()
    eventually(engine, is_ok)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            engine.pause(True).result(2)
            engine.pause(False).result(2)
            eventually(engine, is_ok)
    assert caplog.records == []
    news, _ = engine.hub.transitions(0)  # type: ignore[attr-defined]
    assert {transition.state.camera.status for transition in news} <= {"opening", "streaming", "paused"}


@pytest.mark.parametrize("where", ["on_open", "on_read"])
def test_a_pause_does_not_wait_for_a_camera_that_hangs(bench: Bench, where: str) -> None:
    camera = FakeCamera()

    def hang() -> None:
        if camera.cut.wait(20.0):
            raise CameraError("The camera was closed.", "Open it.")

    engine = bench.running(camera)
    eventually(engine, is_ok)
    if where == "on_open":
        engine.pause(True).result(2)
    setattr(camera, where, hang)
    if where == "on_open":
        engine.pause(False).result(2)
    time.sleep(0.1)
    started = time.monotonic()
    engine.pause(True).result(2)
    assert time.monotonic() - started < 2.0


# --- settings ---------------------------------------------------------------------------------------------------


def test_another_camera_is_taken_at_once_and_the_old_one_closed(bench: Bench) -> None:
    cameras: list[FakeCamera] = []

    def make(address: str, options: CameraOptions) -> FakeCamera:
        cameras.append(FakeCamera(GREEN if address.endswith("green") else RED))
        cameras[-1].options = options
        return cameras[-1]

    engine = bench.running(make)
    cat = eventually(engine, lambda state: state.answer.label == "cat" and is_ok(state))
    changed = settings_of(camera={"source": "scripted:fake:green", "rotate": 180})
    engine.apply(changed).result(2)
    assert latest(engine).answer.label is None, "a cat seen by another camera is none of this one"
    assert not cameras[0].is_open
    state = eventually(engine, lambda state: state.answer.label == "dog")
    assert state.camera.source == "scripted:fake:green"
    assert state.prediction is not None
    assert cat.prediction is not None
    assert state.prediction.frame_id > cat.prediction.frame_id, "a frame's number is nobody else's"
    assert cameras[1].options is not None
    assert cameras[1].options.rotate == 180
    assert engine.settings == changed


def test_another_camera_does_not_wait_for_one_that_hangs_while_it_opens(bench: Bench) -> None:
    cameras: list[FakeCamera] = []
    inside = threading.Event()

    def make(_: str, __: CameraOptions) -> FakeCamera:
        cameras.append(camera := FakeCamera())

        def hang() -> None:
            inside.set()
            if camera.cut.wait(20.0):
                raise CameraError("The camera was closed.", "Open it.")

        if len(cameras) == 1:
            camera.on_open = hang
        return camera

    engine = bench.running(make)
    assert inside.wait(5.0)
    engine.apply(settings_of(camera={"source": "scripted:fake:green"})).result(2)
    assert eventually(engine, is_ok).camera.source == "scripted:fake:green"


def test_another_camera_during_a_pause_stays_closed(bench: Bench) -> None:
    engine = bench.running(FakeCamera(), paused=True)
    engine.apply(settings_of(camera={"rotate": 90})).result(2)
    time.sleep(0.1)
    state = latest(engine)
    assert (state.camera.status, status(state, time.monotonic()), state.frame) == ("paused", "paused", None)


def test_another_region_begins_a_new_answer(bench: Bench) -> None:
    camera = FakeCamera(RED)
    camera.pixels[:, 32:] = GREEN
    engine = bench.running(camera, settings_of(answer={"region": {"x": 0.0, "width": 0.5}}))
    eventually(engine, lambda state: state.answer.label == "cat")
    region = {"x": 0.5, "y": 0.0, "width": 0.5, "height": 1.0}
    engine.apply(settings_of(answer={"region": region})).result(2)
    state = eventually(engine, lambda state: state.answer.label == "dog")
    assert (state.region_asked.x, state.region_asked.width) == (0.5, 0.5)
    assert state.region_seen.x >= 0.5


def test_other_thresholds_count_at_once_and_forget_nothing(bench: Bench) -> None:
    camera = FakeCamera()
    engine = bench.running(camera, settings_of(answer={"window_s": 0.5}))
    since = eventually(engine, lambda state: state.answer.label == "cat").answer.since
    smoothed = latest(engine).answer.probabilities[0]
    engine.apply(settings_of(answer={"window_s": 0.5, "enter": {"cat": 0.5, "dog": 0.5}, "max_rate": 20})).result(2)
    state = latest(engine)
    assert (state.answer.label, state.answer.since) == ("cat", since)
    assert state.answer.probabilities[0] >= smoothed - 0.01
    assert state.model is not None
    assert (state.model.thresholds["cat"].enter, state.model.thresholds["cat"].leave) == (0.5, 0.5)
    assert state.interval_s == 0.05
    assert camera.opened == 1, "the camera was left alone"


def test_a_lower_threshold_lets_in_what_was_seen_already(bench: Bench) -> None:
    engine = bench.running(settings=settings_of(answer={"window_s": 60.0, "enter": {"cat": 1.0, "dog": 1.0}}))
    before = eventually(engine, lambda state: state.answer.reason == "unsure").answer.probabilities[0]
    engine.apply(settings_of(answer={"window_s": 60.0, "enter": {"cat": 0.5, "dog": 0.5}})).result(2)
    answer = eventually(engine, lambda state: state.answer.label == "cat").answer
    assert answer.probabilities[0] == pytest.approx(before, abs=0.05), "no new beginning"


def test_a_threshold_for_a_label_the_model_lacks_is_ignored_with_one_warning(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    engine = bench.running(settings=settings_of(answer={"enter": {"bird": 0.9}}))
    eventually(engine, is_ok)
    for hold_s in (2.0, 3.0):  # other settings say nothing of the labels
        engine.apply(settings_of(answer={"enter": {"bird": 0.9}, "hold_s": hold_s})).result(2)
    assert [record.message for record in caplog.records if "bird" in record.message] == [
        'answer.enter and answer.leave: the model "colours" has no label "bird".'
    ]


# --- models -----------------------------------------------------------------------------------------------------


def swap_to(name: str, **changes: Any) -> Settings:
    return settings_of(model={"name": name, **changes})


def test_a_model_is_swapped_between_two_frames_while_the_camera_runs_on(bench: Bench) -> None:
    write_model(bench.models, "upside-down", {"fp32": colour_graph(gain=-0.05), "int8": colour_graph(gain=-0.05)})
    camera = FakeCamera(RED)
    engine = bench.running(camera)
    eventually(engine, lambda state: state.answer.label == "cat")
    engine.apply(swap_to("upside-down")).result(5)
    state = latest(engine)
    assert state.model is not None
    assert (state.model.name, state.model.precision) == ("upside-down", "int8")
    assert state.answer.label is None, "what the old model saw does not count"
    state = eventually(engine, lambda state: state.prediction is not None)
    assert state.prediction is not None
    assert state.prediction.probabilities[0] < 0.01
    assert camera.opened == 1
    assert engine.settings.model.name == "upside-down"


def bad_models(folder: Path) -> list[str]:
    write_model(folder, "text", {"fp32": b"I am a text file"})
    write_model(folder, "three-labels", labels=[{"name": n, "title": n} for n in ("a", "b")])
    (write_model(folder, "no-card") / "card.json").write_text("{")
    return ["text", "three-labels", "no-card", "missing"]


def test_a_bad_model_changes_nothing(bench: Bench) -> None:
    engine = bench.running()
    before = eventually(engine, lambda state: state.answer.label == "cat")
    for name in bad_models(bench.models):
        with pytest.raises((ModelRejected, UnknownModel)):
            engine.apply(swap_to(name)).result(5)
    with pytest.raises(UnknownModel, match="int4"):
        engine.apply(swap_to("colours", precision="int4")).result(5)
    state = eventually(engine, lambda state: state.sequence > before.sequence + 2)
    assert state.model == before.model
    assert (state.answer.label, state.answer.since) == ("cat", before.answer.since)
    assert engine.settings == settings_of()


def test_during_a_swap_another_one_is_refused_and_everything_else_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(bench.models, "other")
    gate, load = threading.Event(), loader.load
    engine = bench.running()
    eventually(engine, is_ok)

    def slow(*args: Any, **more: Any) -> Classifier:
        gate.wait(5.0)
        return load(*args, **more)

    monkeypatch.setattr(loader, "load", slow)
    swap = engine.apply(swap_to("other"))
    with pytest.raises(ModelBusy):
        engine.apply(swap_to("colours", threads=2))
    with pytest.raises(ModelBusy):
        engine.reload_model()
    before = latest(engine).sequence
    eventually(engine, lambda state: state.sequence > before + 5)
    gate.set()
    swap.result(5)
    engine.apply(swap_to("colours")).result(5)


def test_a_swap_called_off_while_the_model_loads_never_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(bench.models, "other")
    gate, load = threading.Event(), loader.load
    engine = bench.running()

    def slow(*args: Any, **more: Any) -> Classifier:
        gate.wait(5.0)
        return load(*args, **more)

    monkeypatch.setattr(loader, "load", slow)
    swap = engine.apply(swap_to("other"))
    assert swap.cancel()
    gate.set()
    until = time.monotonic() + 10
    while True:  # the loader is free again when the model that nobody wants has been loaded
        with contextlib.suppress(ModelBusy):
            engine.reload_model().result(5)
            break
        assert time.monotonic() < until
        time.sleep(0.01)
    assert engine.classifier is not None
    assert engine.classifier.card.name == "colours"


def test_reloading_keeps_settings_that_changed_meanwhile(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, load = threading.Event(), loader.load
    engine = bench.running()
    monkeypatch.setattr(loader, "load", lambda *args, **more: gate.wait(5.0) and load(*args, **more))
    reloading = engine.reload_model()
    changed = settings_of(answer={"max_rate": 7})
    engine.apply(changed).result(2)
    gate.set()
    reloading.result(5)
    assert engine.settings == changed


def test_without_a_model_that_loads_the_service_runs_and_says_so(bench: Bench) -> None:
    engine = bench.running(settings=swap_to("missing"))
    state = eventually(engine, lambda state: state.frame is not None)
    assert status(state, time.monotonic()) == "failed"
    assert state.model_fault is not None
    assert (state.model_fault.code, state.model) == ("unknown_model", None)
    with pytest.raises(ModelRejected, match='There is no model "missing"'):
        engine.model.classify(picture(RED))


def test_a_model_that_appeared_is_taken_when_it_is_chosen_again(bench: Bench) -> None:
    engine = bench.running(settings=swap_to("late"))
    with pytest.raises(UnknownModel):
        engine.apply(swap_to("late")).result(5)
    write_model(bench.models, "late")
    engine.apply(swap_to("late")).result(5)
    state = eventually(engine, is_ok)
    assert (state.model_fault, state.answer.label or "cat") == (None, "cat")


def test_without_a_model_other_settings_can_be_changed(bench: Bench) -> None:
    engine = bench.running(settings=swap_to("missing"))
    engine.apply(settings_of(model={"name": "missing"}, answer={"max_rate": 3})).result(5)
    assert engine.settings.answer.max_rate == 3


def test_a_model_that_fails_on_a_frame_is_given_up_and_the_camera_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = bench.running()
    eventually(engine, is_ok)

    def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("onnxruntime says no")

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "classify", fails)
        state = eventually(engine, lambda state: state.model is None)
    assert status(state, time.monotonic()) == "failed"
    assert state.model_fault is not None
    assert state.model_fault.remedy
    assert state.answer.label is None
    eventually(engine, lambda later: later.frame is not None and later.sequence > state.sequence + 3)
    engine.apply(settings_of()).result(5)
    eventually(engine, is_ok)


# --- pictures from outside --------------------------------------------------------------------------------------


def test_many_threads_classify_while_the_camera_runs(bench: Bench) -> None:
    engine = bench.running()
    eventually(engine, is_ok)
    with ThreadPoolExecutor(8) as pool:
        reported = list(
            pool.map(lambda color: engine.model.classify(picture(color))[1].probabilities, [RED, GREEN, BLUE] * 20)
        )
    assert [int(np.argmax(probabilities)) for probabilities in reported] == [0, 1, 2] * 20
    assert is_ok(latest(engine))


def test_a_picture_is_looked_at_whole_whatever_the_cameras_region(bench: Bench) -> None:
    engine = bench.running(settings=settings_of(answer={"region": {"x": 0.5, "width": 0.5}}))
    pixels = picture(RED)
    pixels[:, 320:] = GREEN
    _, prediction = engine.model.classify(pixels, embedding=True)
    assert prediction.probabilities[0] == pytest.approx(prediction.probabilities[1], abs=0.01)
    assert prediction.embedding is not None


def test_only_the_loaded_model_can_be_asked(bench: Bench) -> None:
    write_model(bench.models, "other")
    engine = bench.running()
    assert engine.model.classify(picture(RED), model="colours")[0].card.name == "colours"
    with pytest.raises(UnknownModel, match="not loaded"):
        engine.model.classify(picture(RED), model="other")
    with pytest.raises(UnknownModel, match="There is no model"):
        engine.model.classify(picture(RED), model="missing")


# --- the end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["on_open", "on_read"])
def test_it_stops_at_once_though_the_camera_hangs(bench: Bench, where: str) -> None:
    camera, inside = FakeCamera(), threading.Event()

    def hang() -> None:
        inside.set()
        if camera.cut.wait(20.0):
            raise CameraError("The camera was closed.", "Open it.")

    setattr(camera, where, hang)
    engine = bench.running(camera)
    assert inside.wait(5.0)
    started = time.monotonic()
    assert engine.stop()
    assert time.monotonic() - started < 2.0
    assert not camera.is_open


def test_once_all_ends_nobody_waits_for_a_camera_that_hangs(bench: Bench) -> None:
    camera, inside = FakeCamera(), threading.Event()

    def hang() -> None:
        inside.set()
        camera.cut.wait(20.0)

    camera.on_open = hang
    engine = bench.running(camera)
    assert inside.wait(5.0)
    waiting = engine.apply(settings_of(answer={"max_rate": 3}))
    engine.close_mailbox()
    with pytest.raises(TooBusy, match="stopping"):
        waiting.result(0.5)
    with pytest.raises(TooBusy, match="stopping"):
        engine.pause(True)


def test_it_abandons_a_camera_that_hangs_for_good(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    camera, inside, end = FakeCamera(), threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        end.wait(20.0)

    camera.on_read = hang
    engine = bench.running(camera)
    assert inside.wait(5.0)
    waiting = engine.apply(settings_of(answer={"max_rate": 3}))
    monkeypatch.setattr(engine_module, "STOP_DEADLINE_S", 0.3)
    started = time.monotonic()
    assert not engine.stop()
    assert time.monotonic() - started < 2.0
    with pytest.raises(TooBusy):
        waiting.result(0.1)
    end.set()


def test_stopping_twice_or_before_the_start_is_fine(bench: Bench) -> None:
    camera = FakeCamera()
    engine = bench.running(camera)
    eventually(engine, is_ok)
    assert engine.stop()
    assert engine.stop()
    assert not camera.is_open
    assert bench.engine().stop()


def test_after_the_end_verbs_say_so(bench: Bench) -> None:
    write_model(bench.models, "other")
    engine = bench.running()
    engine.stop()
    with pytest.raises(TooBusy):
        engine.pause(True)
    with pytest.raises(TooBusy):
        engine.apply(settings_of(answer={"max_rate": 3}))
    with pytest.raises(ModelBusy):
        engine.apply(swap_to("other"))


def test_a_load_under_way_at_the_end_waits_for_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(bench.models, "other")
    gate, load = threading.Event(), loader.load
    engine = bench.running()
    monkeypatch.setattr(loader, "load", lambda *args, **more: gate.wait(5.0) and load(*args, **more))
    swap = engine.apply(swap_to("other"))
    assert engine.stop()
    gate.set()
    with pytest.raises(TooBusy):
        swap.result(5)


def test_a_bug_of_ours_does_not_end_the_loop(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = bench.running()
    eventually(engine, is_ok)
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "_take", lambda *_: 1 // 0)
        time.sleep(0.1)
    assert "failed and goes on" in caplog.text
    before = latest(engine).sequence
    eventually(engine, lambda state: state.sequence > before + 3 and is_ok(state))


def test_the_worker_shows_that_it_makes_progress(bench: Bench) -> None:
    engine = bench.running()
    before = engine.progressed_at
    eventually(engine, lambda _: engine.progressed_at > before)
    engine.pause(True).result(2)
    assert time.monotonic() - engine.progressed_at < 1.5


def test_the_watchdog_waits_longer_for_a_camera_that_is_given_longer_to_open(bench: Bench) -> None:
    def slow() -> None:
        raise CameraSilent("It did not open in time.", "Check it.")

    camera = FakeCamera()
    engine = bench.engine(camera)
    before = engine.stall_timeout_s
    camera.on_open = slow
    engine.start()
    eventually(engine, lambda _: camera.opened >= 2)
    assert engine.stall_timeout_s >= before + 10.0

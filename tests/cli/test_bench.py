"""`lookout bench`: the way it measures, on made-up work; the figures themselves are not tested."""

from __future__ import annotations

import itertools
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from lookout.bench import live, loop, network, report, script
from lookout.bench.measure import Row, in_turns, percentile
from lookout.bench.peers import plain_graph
from lookout.camera.repeats import RepeatDetector
from lookout.errors import LookoutError, ModelRejected
from lookout.frame import Frame
from lookout.pipeline.card import load_card
from lookout.registry.catalogue import Catalogue
from lookout.settings.schema import Settings

from tests.cli.conftest import Run
from tests.cli.graphs import tiny
from tests.models import colour_graph, write_card


def test_contestants_take_turns_and_are_distinguished() -> None:
    order: list[str] = []

    def work(name: str, seconds: float) -> None:
        order.append(name)
        time.sleep(seconds)

    times = in_turns({"slow": lambda: work("slow", 0.02), "fast": lambda: work("fast", 0.005)}, 0.5)
    assert times["slow"] > 2 * times["fast"]
    changes = sum(a != b for a, b in itertools.pairwise(order))
    assert changes >= 4


def test_percentiles() -> None:
    assert percentile(range(101), 0.99) == 99
    assert np.isnan(percentile([], 0.5))


def test_peers_get_the_same_network(tmp_path: Path) -> None:
    import onnxruntime

    card = Catalogue.of(Settings()).card("cat-dog-resnet18")
    path, name, answer = plain_graph(card, tmp_path / "plain.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, card.input.shape, np.uint8)
    whole = onnxruntime.InferenceSession(str(card.path("fp32")), providers=["CPUExecutionProvider"])
    plain = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    planes = ((pixels.astype(np.float32) - card.input.mean) / card.input.std).transpose(0, 3, 1, 2).astype(np.float32)
    expected = whole.run(["logits"], {"pixels": pixels})[0]
    assert np.allclose(plain.run([answer], {name: planes})[0], expected, atol=1e-3)


@pytest.mark.parametrize("name", ["cat-dog-resnet18", "digits-lenet5"])
def test_the_network_is_measured_beside_its_goals(name: str) -> None:
    """The second is grey and has layers that not every other runtime here knows."""
    rows = network.measure_network(Catalogue.of(Settings()).card(name), 0.05)
    names = [row.name for row in rows]
    assert {"session fp32", "session int8", "int8 against fp32", "arithmetic of fp32"} <= set(names)
    assert "fp32 against OpenCV DNN" in names
    assert all(row.measured for row in rows)


def test_a_network_of_floats_is_measured_too(lookout: Run, tmp_path: Path) -> None:
    """As most that one adds are: they take other numbers than the shipped ones, in another order."""
    tiny().save(tmp_path / "mine.onnx")
    (tmp_path / "labels.txt").write_text("cat\ndog\nneither\n")
    added = lookout("models", "add", tmp_path / "mine.onnx", "--labels", tmp_path / "labels.txt", "--yes")
    assert added.returncode == 0, added.stderr
    card = load_card(tmp_path / ".local" / "state" / "lookout" / "models" / "mine")
    names = [row.name for row in network.measure_network(card, 0.05)]
    assert {"session fp32", "arithmetic of fp32"} <= set(names)


@pytest.mark.parametrize(("precision", "said"), [("int8", "no fp32 graph"), ("fp32", "no convolution")])
def test_what_cannot_be_compared_is_reported(tmp_path: Path, precision: str, said: str) -> None:
    card = write_card(tmp_path, graphs={precision: colour_graph()})
    with pytest.raises(ModelRejected, match=said):
        plain_graph(card, tmp_path / "plain.onnx")


def test_the_report_names_machine_and_misses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = [Row("a", "1 s", "2 s", False, {"s": 2.0}), Row("b", "1 s", "0.5 s", True), Row("c", "", "3", None)]
    monkeypatch.setattr(report, "_measurements", lambda *_: {"loop": lambda: rows})
    card = Catalogue.of(Settings()).card("cat-dog-resnet18")
    report.run_and_print(card, quick=True, only="loop", as_json=False, save=tmp_path / "b.json")
    shown = capsys.readouterr()
    assert "missed" in shown.out
    assert "onnxruntime" in shown.out
    assert "1 of 2 goals met." in shown.err
    saved = json.loads((tmp_path / "b.json").read_text())
    assert saved["rows"][0] == {"name": "a", "goal": "1 s", "measured": "2 s", "met": False, "s": 2.0}
    assert saved["machine"]


def test_the_loop_is_measured_with_the_real_engine() -> None:
    rows = loop.measure_loop(Catalogue.of(Settings()).card("cat-dog-resnet18"), ("int8",), 0.1)
    by_name = {row.name: row for row in rows}
    cost, rate = by_name["loop beside int8, 640 × 480"], by_name["rate with a faster source, int8"]
    assert 0 < cost.figures["loop_ms"] < 100
    assert cost.met is (cost.figures["share"] <= 0.15)
    assert rate.figures["rate"] > 1
    assert by_name["loop beside int8, 1920 × 1080"].met is None, "no goal was set for it"


def test_the_fast_source_never_seems_stuck_however_many_of_its_pictures_are_overtaken() -> None:
    detector = RepeatDetector(stale_after_s=1.0)
    every_second = itertools.islice(script.vga(), 0, 300, 2)
    frames = (Frame(show.pixels.copy(), 0.1 * n, n, "scripted") for n, show in enumerate(every_second))
    assert not any(detector.see(frame) for frame in frames)


class FakeService:
    """A service that has run for a while: what `measure_live` asks of one."""

    address = "http://127.0.0.1:1/"

    def __init__(self, cpu_s: float) -> None:
        self._times = iter([(1.0, 0.0), (1.0 + cpu_s, 0.0)])

    @property
    def processes(self) -> tuple[FakeService, list[object]]:
        return self, []

    def cpu_times(self) -> tuple[float, float]:
        return next(self._times)

    def memory(self) -> int:
        return 180_000_000

    def state(self) -> dict[str, dict[str, float]]:
        return {"timing_ms": {"inference": 10.0}}


def test_rows_of_the_living_service_are_judged_by_their_goals() -> None:
    assert live._memory(FakeService(0), "fp32").met is True
    assert live._memory(FakeService(0), "int8").met is False
    share = live._share(FakeService(0.003), 0.1)
    assert share.figures["share"] == pytest.approx(0.03 - 0.02, abs=0.005)
    assert share.met is True
    assert live._share(FakeService(0.01), 0.1).met is False


def test_the_start_counts_imports_too(monkeypatch: pytest.MonkeyPatch) -> None:
    done = subprocess.CompletedProcess([], 0, stdout="1.2\n")
    monkeypatch.setattr(live.subprocess, "run", lambda *_, **__: done)
    assert live._start(1.0).met is False
    done.stdout = "0.5"
    assert live._start(1.0).met is True
    assert live._start(2.5).met is False


def test_age_is_measured_at_a_client(tmp_path: Path) -> None:
    with live.running(tmp_path, "--model.precision", "int8", "--model.threads", "1") as (service, _):
        row = live._age(service, 2.0)
    assert row.figures["count"] >= 5
    assert 0 < row.figures["median_ms"] < 5000


def test_what_does_not_start_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LookoutError, match="did not start"), live.running(tmp_path, "--camera.fps", "900"):
        pass


def test_a_model_that_was_added_is_measured(lookout: Run, network: Path, labels: Path) -> None:
    assert lookout("models", "add", network, "--labels", labels, "--yes", "--name", "mine").returncode == 0
    done = lookout("bench", "--model", "mine", "--quick", "--only", "loop", "--json")
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert reported["model"] == "mine"
    assert "loop beside fp32, 640 × 480" in {row["name"] for row in reported["rows"]}


def test_an_unknown_measurement_is_named(lookout: Run) -> None:
    done = lookout("bench", "--only", "speed")
    assert done.returncode == 3
    assert "network, focus, loop, live" in done.stderr


def test_the_service_is_measured_alive(tmp_path: Path) -> None:
    from lookout.bench.live import running

    with running(tmp_path, "--model.precision", "int8", "--model.threads", "1") as (service, took):
        assert 0 < took < 30
        parent, children = service.processes
        assert parent.is_running()
        assert len(children) >= 1, "the demo runs in the camera's process"
        assert service.memory() > 20e6
        assert service.state()["status"] == "ok"

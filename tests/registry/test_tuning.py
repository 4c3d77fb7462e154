"""Which precision and how many threads: measured apart, chosen, remembered."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
from lookout.pipeline.card import load_card
from lookout.pipeline.classifier import Classifier
from lookout.registry import tuning
from lookout.registry.tuning import Candidate, TuningCache, candidates, choose, measure, measure_apart, memory_needed
from lookout.resources import models_folder
from lookout.storage import Storage

from tests.models import write_card

ONE, TWO = Candidate("fp32", 1), Candidate("fp32", 2)
QUICK, QUICKER = Candidate("int8", 1), Candidate("int8", 2)


@pytest.mark.parametrize(
    ("milliseconds", "chosen"),
    [
        ({ONE: 10.0, QUICK: 5.0}, QUICK),
        ({ONE: 5.0, QUICK: 10.0}, ONE),
        ({ONE: 10.0, TWO: 7.5}, ONE),
        ({ONE: 10.0, TWO: 7.0}, TWO),
        ({ONE: 10.0, TWO: 5.0, QUICK: 6.0, QUICKER: 4.5}, QUICK),
        ({ONE: 10.0, TWO: 9.0, QUICK: 6.0, QUICKER: 3.0}, QUICKER),
    ],
)
def test_the_faster_precision_is_chosen_and_threads_have_to_earn_their_cores(
    milliseconds: dict[Candidate, float], chosen: Candidate
) -> None:
    assert choose(milliseconds) == chosen


def test_a_number_of_threads_that_is_set_is_the_only_one_tried(tmp_path: Path) -> None:
    assert candidates(write_card(tmp_path), 3) == [Candidate("fp32", 3)]


def test_a_choice_is_remembered_for_its_graph_and_its_kind_of_machine(tmp_path: Path) -> None:
    storage, card = Storage(tmp_path / "state"), write_card(tmp_path)
    choices = TuningCache(tmp_path / "cache", "this", storage)
    assert choices.get(card, 0) is None
    choices.put(card, 0, TWO, {ONE: 10.0, TWO: 5.0})
    assert choices.get(card, 0) == TWO
    assert TuningCache(tmp_path / "cache", "another", storage).get(card, 0) is None


def test_what_was_measured_with_a_number_of_threads_says_nothing_of_others(tmp_path: Path) -> None:
    choices, card = TuningCache(tmp_path / "cache", "this", Storage(tmp_path / "state")), write_card(tmp_path)
    choices.put(card, 2, TWO, {TWO: 5.0})
    assert choices.get(card, 2) == TWO
    assert choices.get(card, 0) is None


def test_a_choice_is_kept_though_the_clock_went_back(tmp_path: Path) -> None:
    choices, card = TuningCache(tmp_path / "cache", "this", Storage(tmp_path / "state")), write_card(tmp_path)
    for number in range(20):
        later = tmp_path / "cache" / f"choice-{number:032}.json"
        later.parent.mkdir(exist_ok=True)
        later.write_text("{}")
        os.utime(later, (2**32, 2**32))
    choices.put(card, 0, ONE, {ONE: 10.0})
    assert choices.get(card, 0) == ONE
    assert len(list((tmp_path / "cache").glob("choice-*.json"))) == 16


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{}",
        b'{"precision": "fp32", "threads": 0}',
        b'{"precision": "fp32", "threads": 1e999}',
        b'{"precision": "int8", "threads": 1}',
        b"[" * 100_000,
    ],
)
def test_a_choice_that_is_damaged_or_does_not_fit_is_measured_again(tmp_path: Path, content: bytes) -> None:
    card = write_card(tmp_path)
    choices = TuningCache(tmp_path / "cache", "this", Storage(tmp_path / "state"))
    choices.put(card, 0, ONE, {ONE: 10.0})
    (kept,) = (tmp_path / "cache").glob("choice-*.json")
    kept.write_bytes(content)
    assert choices.get(card, 0) is None


def test_one_network_is_loaded_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All at once took 370 MB, more than a Pi with 512 MB has to give."""
    alive: weakref.WeakSet[Classifier] = weakref.WeakSet()
    most = 0
    load = Classifier.load

    def counted(*arguments: object, **more: object) -> Classifier:
        nonlocal most
        alive.add(made := load(*arguments, **more))  # type: ignore[arg-type]
        most = max(most, len(alive))
        return made

    monkeypatch.setattr(Classifier, "load", counted)
    measured = measure(write_card(tmp_path), [ONE, TWO, Candidate("fp32", 3)], rounds=4)
    assert len(measured) == 3
    assert most == 1


# The peak of the measuring process, in bytes, with few runs: their number changes nothing.
PEAK = """
import sys
from pathlib import Path
from lookout.registry import tuning
tuning.measure.__defaults__ = (tuning.TURNS,)
tuning.main(sys.argv[1], "2")
(peak,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
print(int(peak.split()[1]) * 1024)
print(Path("/proc/self/oom_score_adj").read_text())
"""


@pytest.mark.parametrize("name", ["cat-dog-lite0", "cat-dog-resnet18", "digits-lenet5"])
def test_measuring_takes_no_more_memory_than_it_asks_for(name: str) -> None:
    folder = models_folder() / name
    done = subprocess.run([sys.executable, "-c", PEAK, folder], capture_output=True, text=True, check=True, timeout=120)
    peak, score = map(int, done.stdout.split()[-2:])
    assert peak <= memory_needed(load_card(folder))
    assert score == 1000, "where memory runs out, it is ended rather than the service"


async def test_nothing_is_measured_where_that_would_take_memory_the_machine_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = write_card(tmp_path)
    monkeypatch.setattr(tuning, "available_memory", lambda: memory_needed(card) - 1)
    assert await measure_apart(card, 1) == {}


async def test_each_candidate_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    measured = await measure_apart(write_card(tmp_path), 1)
    assert set(measured) == {ONE}
    assert measured[ONE] > 0


async def test_a_measurement_that_fails_measures_nothing(tmp_path: Path) -> None:
    card = write_card(tmp_path)
    (card.folder / "card.json").unlink()
    assert await measure_apart(card, 1) == {}

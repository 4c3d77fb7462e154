"""`lookout classify` over whole archives: several at once, goes on where it was stopped, on other machines."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from lookout.cli import cluster
from lookout.cli.results import Result
from lookout.cli.results_file import ResultsFile
from lookout.errors import PictureUnreadable, ResultsUnusable
from lookout.integrations import packages
from lookout.pipeline.card import Card
from lookout.registry.catalogue import Catalogue
from lookout.settings.sources import load

from tests.cli.conftest import Run, environment
from tests.faults import mounts
from tests.requires import requires
from tests.support.waiting import until

COUNT = 40


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures, one of them cut off."""
    folder = tmp_path_factory.mktemp("archive")
    random = np.random.default_rng(0)
    for number in range(COUNT):
        cv2.imwrite(str(folder / f"{number:03}.jpg"), random.integers(0, 256, (64, 64, 3), np.uint8))
    bad = folder / "017.jpg"
    bad.write_bytes(bad.read_bytes()[:300])
    return folder


@pytest.fixture(scope="module")
def card() -> Card:
    loaded = load({})
    return Catalogue.of(loaded.settings, loaded.state_folder).card("cat-dog-resnet18")


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def answers(path: Path) -> dict[str, Any]:
    found = entries(path)
    assert len({entry["source"] for entry in found}) == len(found), "a picture stands there twice"
    return {entry["source"]: entry.get("probabilities") or entry["error"]["code"] for entry in found}


# --- several at once, and again ---------------------------------------------------------------------------------------


def test_several_at_once_say_the_same_as_one_and_a_bad_file_is_a_line(
    lookout: Run, archive: Path, tmp_path: Path
) -> None:
    one, three = tmp_path / "one.jsonl", tmp_path / "three.jsonl"
    done = lookout("classify", "--resume", one, archive)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith(f"one.jsonl: 0 results from before, {COUNT} new, 1 of them not readable.\n")
    lookout("classify", "--jobs", "3", "--resume", three, archive)
    assert answers(one) == answers(three)
    assert list(answers(one).values()).count("picture_unreadable") == 1
    again = lookout("classify", "--jobs", "3", "--resume", three, archive)
    assert again.stderr.endswith(f"three.jsonl: {COUNT} results from before, 0 new.\n")
    assert again.returncode == 0
    assert len(entries(three)) == COUNT


def test_what_may_pass_is_left_to_the_next_run(lookout: Run, archive: Path, tmp_path: Path) -> None:
    results, late = tmp_path / "results.jsonl", tmp_path / "late.jpg"
    done = lookout("classify", "--resume", results, archive / "000.jpg", late)
    assert "1 failed for now: the same command tries them again." in done.stderr
    late.write_bytes((archive / "001.jpg").read_bytes())
    done = lookout("classify", "--resume", results, archive / "000.jpg", late)
    assert (done.returncode, len(answers(results))) == (0, 2)


@requires("slow-disk")
@requires("ffmpeg")
def test_a_film_on_a_failing_disk_is_left_to_the_next_run(lookout: Run, tmp_path: Path) -> None:
    """It was neither a picture nor a video, for good."""
    with mounts.slow(tmp_path, "uncached") as disk:
        film, results = disk.folder / "clip.mp4", tmp_path / "results.jsonl"
        source = ["-f", "lavfi", "-i", "testsrc2=size=640x480:rate=10:duration=3"]
        subprocess.run(["ffmpeg", "-v", "error", *source, "-q:v", "3", str(film)], check=True)
        disk.break_down()
        done = lookout("classify", "--resume", results, film)
        assert "cannot be read: Input/output error. Check the disk" in done.stderr
        assert "1 failed for now: the same command tries them again." in done.stderr
        disk.set(0.0)
        done = lookout("classify", "--resume", results, film)
        assert (done.returncode, len(answers(results))) == (0, 3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_stop_at_any_moment_loses_nothing(number: int, lookout: Run, archive: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    words = [sys.executable, "-m", "lookout", "classify", "--jobs", "2", "--resume", results, archive]
    with subprocess.Popen(words, env=environment(tmp_path), stderr=subprocess.PIPE, text=True) as process:
        try:
            until(lambda: results.exists() and results.read_bytes().count(b"\n") > 3, timeout_s=30)
        finally:
            process.send_signal(number)
        said = process.communicate(timeout=20)[1]
    kept = answers_so_far(results)
    assert 3 < len(kept) <= COUNT
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert f"0 results from before, {len(kept)} new" in said
    lookout("classify", "--resume", results, archive)
    assert len(answers(results)) == COUNT
    assert kept.items() <= answers(results).items()


def answers_so_far(path: Path) -> dict[str, Any]:
    whole = path.with_suffix(".whole")
    whole.write_bytes(path.read_bytes().rpartition(b"\n")[0])
    return answers(whole)


# --- the file ---------------------------------------------------------------------------------------------------------

NAMES = ("plain.jpg", "two\nlines.jpg", '=quoted ", sure.jpg', "caf\udce9.jpg")


def result(name: str, card: Card) -> Result:
    if name == NAMES[0]:
        return Result(name, error=PictureUnreadable("It is damaged.", "Send it again."))
    shares = dict.fromkeys(card.label_names, 0.25)
    top = [{"label": label, "title": label, "probability": 0.25} for label in card.label_names]
    model = {"name": card.name, "version": card.version, "precision": "int8"}
    return Result(name, {"top": top, "probabilities": shares, "model": model})


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_line_cut_off_anywhere_is_rewritten(form: str, card: Card, tmp_path: Path) -> None:
    path = tmp_path / f"results.{form}"
    with contextlib.closing(ResultsFile(path, card, 3)) as file:
        assert all(file.add(result(name, card)) for name in NAMES)
        assert not any(file.add(result(name, card)) for name in NAMES)
    whole = path.read_bytes()
    breaks = [place for place, byte in enumerate(whole) if byte == ord("\n")]
    for end in sorted({*range(0, len(whole), 17), *breaks, *(place + 1 for place in breaks[:-1])}):
        for tail in (b"", b"\0" * 7):
            path.write_bytes(whole[:end] + (tail if whole[:end].endswith(b"\n") else b""))
            with contextlib.closing(ResultsFile(path, card, 3)) as file:
                for name in NAMES:
                    file.add(result(name, card))
            assert path.read_bytes() == whole, end


def test_csv_is_read_by_others(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "results.CSV"
    with contextlib.closing(ResultsFile(path, card, 3)) as file:
        for name in NAMES:
            file.add(result(name, card))
    with path.open(newline="") as text:
        rows = list(csv.DictReader(text))
    assert [row["source"] for row in rows] == ["plain.jpg", "two\nlines.jpg", "'=quoted \", sure.jpg", "caf\\udce9.jpg"]
    assert (rows[0]["error"], rows[1]["cat"]) == ("picture_unreadable", "0.25")


@requires("pyarrow")
def test_parquet_is_read_by_others(lookout: Run, archive: Path, tmp_path: Path) -> None:
    from pyarrow import parquet

    table = tmp_path / "results.parquet"
    for found in (1, COUNT):  # the second run goes on with the first one's
        some = sorted(archive.glob("*.jpg"))[:found]
        done = lookout("classify", "--model", "cat-dog-resnet18", "--resume", table, *some)
        assert "Traceback" not in done.stderr
        rows = parquet.read_table(table).to_pylist()
        assert [Path(row["source"]).name for row in rows] == [path.name for path in some]
    assert list(rows[0]) == ["source", "label", "probability", "cat", "dog", "neither", "error"]
    assert sum(rows[0][name] for name in ("cat", "dog", "neither")) == pytest.approx(1, abs=1e-3)
    assert (rows[17]["error"], rows[17]["cat"]) == ("picture_unreadable", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results.parquet", "results.parquet.jsonl"]


@requires("pyarrow")
def test_a_table_holds_paths_that_are_not_unicode(card: Card, tmp_path: Path) -> None:
    from lookout.cli.parquet import lines_beside, write_table
    from pyarrow import parquet

    table = tmp_path / "results.parquet"
    with contextlib.closing(ResultsFile(lines_beside(table), card, 3)) as file:
        for name in NAMES:
            file.add(result(name, card))
        write_table(table, card.label_names)
    assert len(parquet.read_table(table)) == len(NAMES)


def test_without_pyarrow_a_table_is_a_sentence(
    lookout: Run, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "_is_there", lambda module: module != "pyarrow")
    done = lookout("classify", "--resume", tmp_path / "results.parquet", archive)
    assert "the Python package pyarrow is not installed." in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"my notes, which took me a year", "line 1 is not a result"),
        ("photo.jpg", b"\xff\xd8\xff\xe0" + bytes(range(256)) * 9, "line 1 is not a result"),
        ("table.csv", b"a,b,c\n1,2,3\n", "its first line does not name this model's labels"),
        ("mixed.jsonl", b'{"source": "a"}\nmore\n', "line 2 is not a result"),
        ("other.jsonl", b'{"source": "a", "model": {"name": "birds", "version": "7"}}\n', "holds answers of birds 7"),
    ],
)
def test_a_file_of_something_else_is_left_as_it_is(
    name: str, content: bytes, said: str, card: Card, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ResultsUnusable, match=said):
        ResultsFile(path, card, 3)
    assert path.read_bytes() == content


def test_what_cannot_hold_results_is_a_sentence(card: Card, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, said in (
        (tmp_path / "pipe", "not a regular file"),
        (tmp_path / "no" / "x", "No such file"),
        (tmp_path, "directory"),
    ):
        with pytest.raises(ResultsUnusable, match=said):
            ResultsFile(path, card, 3)
    with (
        contextlib.closing(ResultsFile(tmp_path / "r.jsonl", card, 3)),
        pytest.raises(ResultsUnusable, match="Another"),
    ):
        ResultsFile(tmp_path / "r.jsonl", card, 3)


def test_resume_and_an_output_of_another_form_are_one_too_many(lookout: Run, archive: Path, tmp_path: Path) -> None:
    assert lookout("classify", "--json", "--resume", tmp_path / "r.jsonl", archive).returncode == 2


# --- on other machines ------------------------------------------------------------------------------------------------

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def dask(tmp_path: Path) -> Iterator[Start]:
    """Starts `dask WORDS`, which is ended with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: object) -> subprocess.Popen[bytes]:
        variables = environment(tmp_path, PYTHONWARNINGS="ignore", PYTHONPATH=os.pathsep.join(sys.path))
        with (tmp_path / f"dask{len(started)}.log").open("wb") as log:
            command = [sys.executable, "-m", "dask", *map(str, words)]
            started.append(subprocess.Popen(command, env=variables, cwd=tmp_path, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(10)


@requires("dask")
@pytest.mark.timeout(240)  # three processes that each import much
def test_a_worker_killed_in_the_midst_costs_nothing(dask: Start, lookout: Run, archive: Path, tmp_path: Path) -> None:
    """Two workers: one takes its share and never answers, then it is killed."""
    plan = tmp_path / "scheduler.json"
    dask("scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard", "--scheduler-file", plan)
    until(plan.exists, timeout_s=40)
    options = ("--nthreads", 1, "--no-nanny", "--no-dashboard", "--scheduler-file", plan, "--death-timeout", 60)
    good, doomed = (dask("worker", *options, "--name", name) for name in ("good", "doomed"))
    address = json.loads(plan.read_text())["address"]
    wait_for_workers(address, 2)
    doomed.send_signal(signal.SIGSTOP)
    results = tmp_path / "results.jsonl"
    words = [sys.executable, "-m", "lookout", "classify", "--dask", address, "--resume", results, archive]
    with subprocess.Popen(words, env=environment(tmp_path), stderr=subprocess.PIPE, text=True) as asking:
        until(lambda: results.exists() and results.read_bytes().count(b"\n") > 0, timeout_s=60)
        assert asking.poll() is None, "everything was classified, so the other worker had nothing"
        doomed.kill()
        said = asking.communicate(timeout=60)[1]
    assert (asking.returncode, good.poll()) == (1, None), said
    assert said.endswith(f"0 results from before, {COUNT} new, 1 of them not readable.\n")
    lookout("classify", "--resume", tmp_path / "here.jsonl", archive)
    assert answers(results) == answers(tmp_path / "here.jsonl")


def wait_for_workers(address: str, count: int) -> None:
    from distributed import Client

    with Client(address, timeout=20, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=40)


@requires("dask")
def test_without_a_scheduler_it_is_a_sentence(lookout: Run, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 0.3)
    began = time.monotonic()
    done = lookout("classify", "--dask", "tcp://127.0.0.1:9", archive)
    assert done.returncode == 1
    assert "There is no Dask scheduler at tcp://127.0.0.1:9." in done.stderr
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 20


def test_without_the_package_it_is_a_sentence(lookout: Run, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = lookout("classify", "--dask", "tcp://127.0.0.1:9", archive)
    assert "the Python package distributed is not installed" in done.stderr
    assert "-m pip install 'distributed>=" in done.stderr


def test_a_worker_of_another_release_or_model_says_so(archive: Path) -> None:
    from lookout.errors import ClusterUnusable

    job = cluster.Job("picture", str(archive / "000.jpg"))
    order = cluster.Order("0.0.1", "cat-dog-resnet18", "int8", "0" * 64, 1_000_000, None)
    with pytest.raises(ClusterUnusable, match=r"but 0\.0\.1 is needed"):
        cluster.classify_chunk(order, (job,))
    with pytest.raises(ClusterUnusable, match="another model of the name"):
        cluster.classify_chunk(cluster.replace(order, version=cluster.__version__), (job,))

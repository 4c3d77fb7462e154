"""Faults of the disk: full, read-only, silent or gone; a model file that became rubbish."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from lookout.events.queries import Filter
from lookout.resources import models_folder

from tests.events.rows import add, row, store_at
from tests.faults import mounts, table
from tests.faults.eyes import Eyes
from tests.faults.running import NEVER_STALE, SCRIPT, Service, running, until
from tests.requires import requires


@dataclass(frozen=True)
class House:
    """A service whose state folder is a disk of its own. stick: the same disk by another way."""

    service: Service
    stick: Path
    folder: Path
    plugged: mounts.Bound


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    top = tmp_path_factory.mktemp("house")
    with (
        mounts.small_disk(top / "stick", "4m") as stick,
        mounts.bound(stick, top / "disk") as plugged,
        running(top / "run", state_folder=top / "disk") as service,
    ):
        assert service.json("PATCH", "/api/settings", {"answer": {"hold_s": 1.5}})[0] == 200
        yield House(service, stick, top / "disk", plugged)


@contextlib.contextmanager
def _full(house: House) -> Iterator[None]:
    filler = mounts.fill(house.stick)
    yield
    filler.unlink()


@contextlib.contextmanager
def _read_only(house: House) -> Iterator[None]:
    mounts.set_read_only(house.stick, read_only=True)
    yield
    mounts.set_read_only(house.stick, read_only=False)


@contextlib.contextmanager
def _silent(house: House) -> Iterator[None]:
    with mounts.silent(house.folder):
        yield


@contextlib.contextmanager
def _pulled_out(house: House) -> Iterator[None]:
    house.plugged.unmount()
    yield
    assert list(house.folder.iterdir()) == [], "what is meant for the disk must not land on another"
    house.plugged.mount()


@pytest.mark.parametrize(
    ("name", "code", "fault"),
    [
        pytest.param("state folder full (tmpfs)", "disk_full", _full, marks=requires("mount")),
        pytest.param("state folder remounted read-only", "disk_read_only", _read_only, marks=requires("mount")),
        pytest.param("disk does not answer", "disk_slow", _silent, marks=requires("silent-disk")),
        pytest.param("disk pulled out", "disk_gone", _pulled_out, marks=requires("mount")),
    ],
)
def test_a_disk_that_breaks_costs_no_answer_is_reported_and_recovers(
    house: House, name: str, code: str, fault: Callable[[House], AbstractContextManager[None]]
) -> None:
    service = house.service
    kept_before = _events(service)
    with Eyes(service) as eyes:
        broken = time.monotonic()
        with fault(house):
            until(lambda: _disk(service) == code, 5, f"reported: {code}")
            seen = time.monotonic() - broken
            status, problem = service.json("PATCH", "/api/settings", {"answer": {"hold_s": 2.5}})
            assert (status, problem["code"]) == (507, "state_folder_unusable"), problem
            assert problem["remedy"]
            assert _hold_s(service) == 1.5, "a refused change must not stay in force"
            if code in ("disk_full", "disk_read_only"):
                assert service.json("GET", "/api/events")[0] == 200, "what was kept can still be read"
            if code == "disk_gone":
                status, problem = service.json("GET", "/api/events")
                assert (status, problem["code"]) == (503, "events_unavailable"), "it is not said that there are none"
                assert "is gone" in problem["detail"]
            paused, _ = service.json("PUT", "/api/paused", True)
            remembered = (house.stick / "paused").exists()  # an empty file still fits on a full disk
            assert service.state()["status"] == "paused", "the camera closes even if that cannot be remembered"
            assert paused == (200 if remembered else 507)
            service.json("PUT", "/api/paused", False)
            eyes.until_fresh(time.monotonic())
            status, problem = service.json("POST", "/api/events", {"label": "cat"})
            assert (status, problem["code"]) == (507, "state_folder_unusable"), "what cannot be kept is not said to be"
        back = time.monotonic()
        until(lambda: service.json("PATCH", "/api/settings", {"answer": {"hold_s": 1.5}})[0] == 200, 3, "kept")
        kept = time.monotonic() - back
        until(lambda: _disk(service) is None, 3, "reported no more")
        reported = time.monotonic() - back
        until(lambda: _events(service)[-2:] == ["paused", "resumed"], 10, "what happened meanwhile is in the diary")
        written = time.monotonic() - back
    eyes.assert_truthful()
    assert _events(service)[: len(kept_before)] == kept_before
    assert len(_events(service)) == len(kept_before) + 2, "each once"
    assert "Traceback" not in service.log()
    what = f"answers go on; `{code}`; changes are refused: `state_folder_unusable`; events wait for it"
    table.record(name, what, {"state": seen}, {"settings": kept, "state": reported, "events": written})


def _events(service: Service) -> list[str]:
    """The kinds of all in the diary, the oldest first."""
    status, page = service.json("GET", "/api/events?limit=1000")
    assert status == 200, page
    return [event["kind"] for event in page["events"]][::-1]


def _disk(service: Service) -> str | None:
    fault = service.state()["system"]["disk"]
    return str(fault["code"]) if fault else None


@requires("mount")
def test_a_service_starts_on_a_disk_that_became_read_only(tmp_path: Path) -> None:
    with mounts.small_disk(tmp_path / "disk") as disk:
        mounts.set_read_only(disk, read_only=True)
        began = time.monotonic()
        with running(tmp_path / "run", state_folder=disk) as service:
            again = time.monotonic() - began
            assert "Read-only" in service.log()
            assert service.json("PATCH", "/api/settings", {"answer": {"hold_s": 2.5}})[0] // 100 == 5
            assert service.is_current()
    table.record("started with a read-only state folder", "answers; changes are refused", None, {"start": again})


@requires("mount")
@pytest.mark.parametrize("is_stopped", [False, True])
def test_events_are_read_on_a_disk_that_was_full_at_the_start(tmp_path: Path, is_stopped: bool) -> None:
    with mounts.small_disk(tmp_path / "disk", "512k") as disk:
        before = store_at(disk / "state")
        add(before, row(), row())
        if is_stopped:
            before.close()
        else:  # as after a power cut of a file system that lost the index
            (before.folder / "events.db-shm").unlink()
        mounts.fill(disk)
        assert len(store_at(disk / "state").page(Filter())[0]) == 2


@requires("silent-disk")
@pytest.mark.parametrize("was_paused", [False, True])
def test_a_service_starts_on_a_silent_disk_with_its_camera_closed_and_catches_up(
    tmp_path: Path, was_paused: bool
) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    (folder / "overrides.toml").write_text('[[change]]\nkey = "answer.hold_s"\nvalue = 3.5\n')
    if was_paused:
        (folder / "paused").touch()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        silence = stack.enter_context(contextlib.ExitStack())
        silence.enter_context(mounts.silent(folder))
        cache = {"XDG_CACHE_HOME": str(folder)}  # a Pi has but one disk
        flags = (SCRIPT, "--server.auth", "none")
        service = stack.enter_context(
            running(tmp_path / "run", *flags, state_folder=folder, wait=False, environment=cache)
        )
        until(lambda: _answers(service), 20, "a service that answers")
        started = time.monotonic() - began
        until(lambda: _disk(service) == "disk_slow", 5, "reported")
        assert service.state()["status"] == "paused", "perhaps somebody closed the camera"
        assert service.json("PATCH", "/api/settings", {"answer": {"window_s": 1.0}})[0] == 507
        silence.close()
        back = time.monotonic()
        until(lambda: _hold_s(service) == 3.5, 5, "what was changed before the start counts")
        until(lambda: _disk(service) is None, 5, "reported no more")
        if was_paused:
            assert service.state()["status"] == "paused"
        else:
            service.until_current(5)
        again = time.monotonic() - back
        assert service.json("PATCH", "/api/settings", {"answer": {"window_s": 1.0}})[0] == 200
        assert "answer.hold_s" in (folder / "overrides.toml").read_text(), "a change made before must not be lost"
    if not was_paused:
        what = "`paused`, `disk_slow`; changes are refused"
        table.record("started on a disk that does not answer", what, {"start": started}, {"state": again})


@requires("slow-disk")
def test_a_slow_disk_costs_no_answer_and_what_it_cannot_take_in_time_is_reported(tmp_path: Path) -> None:
    with mounts.slow(tmp_path / "card") as disk, running(tmp_path / "run", state_folder=disk.folder) as service:
        assert service.json("POST", "/api/events", {"label": "cat"})[0] == 201
        quick = _looks_a_second(service)
        with Eyes(service) as eyes:
            disk.set(0.1)  # a worn card: everything is kept, later
            status, event = service.json("POST", "/api/events", {"label": "dog"})
            assert status == 201, event
            disk.set(3.0)
            service.json("PUT", "/api/paused", True)
            service.json("PUT", "/api/paused", False)
            until(lambda: _disk(service) == "disk_slow", 10, "reported")
            status, problem = service.json("PATCH", "/api/settings", {"answer": {"hold_s": 2.5}})
            assert (status, problem["code"]) == (507, "state_folder_unusable"), problem
            service.until_current(10)
            slowly = _looks_a_second(service)
            disk.set(0.0)
            back = time.monotonic()
            until(lambda: _disk(service) is None, 20, "reported no more")
            happened = ["missed", "missed", "paused", "resumed"]
            until(lambda: _events(service) == happened, 20, "what happened meanwhile is in the diary, each once")
            again = time.monotonic() - back
        eyes.assert_truthful()
        assert slowly >= 0.5 * quick, f"{quick:.1f} looks a second, {slowly:.1f} on a slow disk"
        assert "Traceback" not in service.log()
    what = "answers go on at their rate; `disk_slow`; what is not in time is refused; events wait for it"
    table.record("disk that takes 3 s to write (FUSE)", what, None, {"all kept": again})


def _looks_a_second(service: Service, for_s: float = 2.0) -> float:
    began, before = time.monotonic(), service.state()["sequence"]
    time.sleep(for_s)
    return float(service.state()["sequence"] - before) / (time.monotonic() - began)


def _hold_s(service: Service) -> float:
    return float(service.json("GET", "/api/settings")[1]["settings"]["answer"]["hold_s"])


def _own_model(folder: Path) -> Path:
    """A copy of the shipped model under another name, to be damaged."""
    own = folder / "models" / "victim"
    shutil.copytree(models_folder() / "cat-dog-resnet18", own)
    card = json.loads((own / "card.json").read_text())
    card["name"] = "victim"
    (own / "card.json").write_text(json.dumps(card))
    return own


def test_a_model_file_replaced_by_rubbish_changes_nothing_until_it_is_loaded_and_then_says_so(tmp_path: Path) -> None:
    own = _own_model(tmp_path)
    flags = ("--model.folder", str(own.parent))
    chosen = tmp_path / "lookout" / "lookout.toml"
    chosen.parent.mkdir()
    chosen.write_text('[model]\nname = "victim"\n')
    graphs = sorted(own.glob("*.onnx"))
    sound = {path: path.read_bytes() for path in graphs}
    with running(tmp_path, SCRIPT, *flags, environment=NEVER_STALE) as service:
        with Eyes(service) as eyes:
            for path in graphs:
                path.write_bytes(b"\0rubbish" * 1000)
            status, problem = service.json("PUT", "/api/model", {"name": "victim", "precision": "fp32"})
            assert (status, problem["code"]) == (422, "model_rejected"), problem
            time.sleep(0.5)
            eyes.until_fresh(time.monotonic())
        eyes.assert_truthful()
        assert all(look.fresh for looks in eyes.looks.values() for look in looks), "the model in memory goes on"
        assert service.state()["model"]["name"] == "victim"
        assert service.end() == 0

    with running(tmp_path, SCRIPT, *flags, wait=False) as service:
        until(lambda: _answers(service), 20, "a service that answers")
        reported = service.state()
        assert reported["status"] == "failed"
        assert reported["fault"]["code"] == "model_rejected"
        assert "victim" in reported["fault"]["reason"]
        assert reported["answer"]["current"] is False
        assert service.request("GET", "/readyz")[0] == 503
        assert service.request("GET", "/healthz")[0] == 200
        until(lambda: service.request("GET", "/api/snapshot.jpg")[0] == 200, 5, "the camera is still to be seen")
        for path, data in sound.items():
            path.write_bytes(data)
        back = time.monotonic()
        status, reported = service.json("PUT", "/api/model", {"name": "victim"})
        assert status == 200, reported
        service.until_current(3)
        again = time.monotonic() - back
    table.record(
        "model file replaced by rubbish",
        "nothing while it runs; after a restart `failed`, `model_rejected`",
        None,
        {"PUT /api/model": again},
    )


def _answers(service: Service) -> bool:
    try:
        return service.request("GET", "/healthz")[0] == 200
    except OSError:
        return False

"""Faults of the disk: full, read-only, silent or gone; a model file that became rubbish."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from service.resources import models_folder
from tests.faults import mounts, table
from tests.faults.eyes import Eyes
from tests.faults.running import NEVER_STALE, SCRIPT, Service, running, until
from tests.requires import requires


def _full(folder: Path) -> Callable[[], None]:
    filler = mounts.fill(folder)
    return filler.unlink


def _read_only(folder: Path) -> Callable[[], None]:
    mounts.set_read_only(folder, read_only=True)
    return lambda: mounts.set_read_only(folder, read_only=False)


@requires("mount")
def test_a_disk_that_is_full_or_read_only_costs_no_answer_and_is_told_to_whoever_changes_something(
    tmp_path: Path,
) -> None:
    with mounts.small_disk(tmp_path / "disk") as disk, running(tmp_path / "run", state_folder=disk) as service:
        for name, fault in (("state folder full (tmpfs)", _full), ("state folder remounted read-only", _read_only)):
            with Eyes(service) as eyes:
                mend = fault(disk)
                status, problem = service.json("PATCH", "/api/settings", {"answer": {"hold_s": 2.5}})
                assert (status // 100, problem["code"]) == (5, "state_folder_unusable"), problem
                assert problem["remedy"]
                until(lambda: _disk(service) in ("disk_full", "disk_read_only"), 5, "told")
                assert _hold_s(service) == 1.0, "a refused change must not stay in force"
                paused, _ = service.json("PUT", "/api/paused", True)
                remembered = (disk / "paused").exists()  # an empty file still fits on a full disk
                assert service.state()["status"] == "paused", "the camera closes even if that cannot be remembered"
                assert paused // 100 == (2 if remembered else 5)
                service.json("PUT", "/api/paused", False)
                service.until_current(5)
                eyes.until_fresh(time.monotonic())
                mend()
                back = time.monotonic()
                until(lambda: service.json("PATCH", "/api/settings", {"answer": {"hold_s": 1.5}})[0] == 200, 3, "kept")
                again = time.monotonic() - back
                until(lambda: _disk(service) is None, 3, "told no more")
                assert service.json("PATCH", "/api/settings", {"answer": {"hold_s": None}})[0] == 200
            eyes.assert_truthful()
            table.record(name, "answers go on; changes are refused: `state_folder_unusable`", None, {"settings": again})


@requires("silent-disk")
def test_a_disk_that_does_not_answer_or_is_pulled_out_costs_no_answer_and_is_told(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with (
        mounts.small_disk(tmp_path / "stick") as stick,
        mounts.bound(stick, disk) as plugged,
        running(tmp_path / "run", state_folder=disk) as service,
    ):
        assert service.json("PATCH", "/api/settings", {"answer": {"hold_s": 1.5}})[0] == 200
        with Eyes(service) as eyes:
            with mounts.silent(disk):
                seen = until(lambda: _disk(service) == "disk_slow", 5, "told")
                _assert_changes_are_refused_and_answers_go_on(service, eyes)
            again = _until_kept(service)
        eyes.assert_truthful()
        table.record("disk does not answer", f"answers go on; `disk_slow`; {_REFUSED}", {"state": seen}, again)
        with Eyes(service) as eyes:
            plugged.unmount()
            seen = until(lambda: _disk(service) == "disk_gone", 5, "told")
            _assert_changes_are_refused_and_answers_go_on(service, eyes)
            assert list(disk.iterdir()) == [], "what was meant for the disk must not land on another"
            plugged.mount()
            again = _until_kept(service)
        eyes.assert_truthful()
        table.record("disk pulled out", f"answers go on; `disk_gone`; {_REFUSED}", {"state": seen}, again)


_REFUSED = "changes are refused: `state_folder_unusable`"


def _disk(service: Service) -> str | None:
    fault = service.state()["system"]["disk"]
    return str(fault["code"]) if fault else None


def _assert_changes_are_refused_and_answers_go_on(service: Service, eyes: Eyes) -> None:
    status, problem = service.json("PATCH", "/api/settings", {"answer": {"hold_s": 2.5}})
    assert (status, problem["code"]) == (507, "state_folder_unusable"), problem
    assert problem["remedy"]
    assert _hold_s(service) == 1.5, "a refused change must not stay in force"
    assert service.json("PUT", "/api/paused", True)[0] == 507
    assert service.state()["status"] == "paused", "the camera closes even if that cannot be remembered"
    service.json("PUT", "/api/paused", False)
    eyes.until_fresh(time.monotonic())


def _until_kept(service: Service) -> dict[str, float | None]:
    """Seconds until changes are kept and nothing is told of the disk any more."""
    back = time.monotonic()
    until(lambda: service.json("PATCH", "/api/settings", {"answer": {"hold_s": 1.5}})[0] == 200, 3, "kept")
    again = time.monotonic() - back
    until(lambda: _disk(service) is None, 3, "told no more")
    return {"settings": again, "state": time.monotonic() - back}


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
        told = service.state()
        assert told["status"] == "failed"
        assert told["fault"]["code"] == "model_rejected"
        assert "victim" in told["fault"]["reason"]
        assert told["answer"]["current"] is False
        assert service.request("GET", "/readyz")[0] == 503
        assert service.request("GET", "/healthz")[0] == 200
        until(lambda: service.request("GET", "/api/snapshot.jpg")[0] == 200, 5, "the camera is still to be seen")
        for path, data in sound.items():
            path.write_bytes(data)
        back = time.monotonic()
        status, told = service.json("PUT", "/api/model", {"name": "victim"})
        assert status == 200, told
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

"""Optimised graphs are kept for the next start, never trusted blindly, and make room for one another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from lookout.errors import ModelRejected
from lookout.pipeline import session
from lookout.pipeline.card import Card
from lookout.pipeline.session import GraphCache, open_session
from lookout.storage import Limits, Storage

from tests.models import GAIN, SIDE, colour_graph, write_card


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "graphs"


@pytest.fixture
def card(tmp_path: Path) -> Card:
    return write_card(tmp_path / "models", graphs={"fp32": colour_graph()})


def cache(folder: Path, limits: Limits | None = None) -> GraphCache:
    return GraphCache(folder, "a machine", Storage(folder.parent / "state", folder.parent, limits))


def answer(card: Card, kept: GraphCache | None, threads: int = 1) -> np.ndarray:
    opened = open_session(card, "fp32", threads, kept)
    picture = np.full((1, SIDE, SIDE, 3), 100, np.uint8)
    return np.asarray(opened.run(["logits"], {"pixels": picture})[0])


def names(folder: Path) -> list[str]:
    return sorted(path.suffix for path in folder.iterdir())


@pytest.fixture
def optimised(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry each time a graph is optimised anew."""
    calls: list[str] = []
    real = session._optimised

    def counted(*arguments: object) -> object:
        calls.append("anew")
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(session, "_optimised", counted)
    return calls


def test_the_second_start_takes_the_kept_graph_and_it_answers_the_same(
    card: Card, folder: Path, optimised: list[str]
) -> None:
    plain = answer(card, None)
    assert np.array_equal(answer(card, cache(folder)), plain)
    assert names(folder) == [".ort", ".sha256"]
    assert np.array_equal(answer(card, cache(folder)), plain)
    assert optimised == ["anew"]
    assert names(folder) == [".ort", ".sha256"], "the mark of the load is gone"


def test_a_graph_that_is_replaced_while_it_is_loaded_is_refused_and_not_kept_as_the_other(
    card: Card, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, sound = answer(card, None), card.path("fp32").read_bytes()
    checked = session._checked_sha256

    def then_replaced(*arguments: object) -> str:
        found = checked(*arguments)  # type: ignore[arg-type]
        card.path("fp32").write_bytes(colour_graph(gain=GAIN * 3).SerializeToString())
        return found

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(session, "_checked_sha256", then_replaced)
        with pytest.raises(ModelRejected, match="SHA-256"):
            open_session(card, "fp32", 1, cache(folder))
    card.path("fp32").write_bytes(sound)
    assert np.array_equal(answer(card, cache(folder)), plain)


def test_a_graph_that_changed_on_disk_is_made_again(card: Card, folder: Path, optimised: list[str]) -> None:
    plain = answer(card, cache(folder))
    kept = next(folder.glob("*.ort"))
    gain, other = np.float32(GAIN).tobytes(), np.float32(2 * GAIN).tobytes()
    assert gain in kept.read_bytes()
    kept.write_bytes(kept.read_bytes().replace(gain, other))
    assert np.array_equal(answer(card, cache(folder)), plain)
    answer(card, cache(folder))
    assert optimised == ["anew", "anew"]


def test_a_graph_whose_load_ended_the_last_start_is_made_again(
    card: Card, folder: Path, optimised: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    answer(card, cache(folder))
    next(folder.glob("*.ort")).with_suffix(".loading").touch()
    answer(card, cache(folder))
    assert optimised == ["anew", "anew"]
    assert "The last start ended while loading" in caplog.text
    assert names(folder) == [".ort", ".sha256"]


def test_old_graphs_make_room_for_new_ones(card: Card, folder: Path) -> None:
    for threads in range(1, 8):
        answer(card, cache(folder), threads)
    assert len(list(folder.glob("*.ort"))) == 4
    assert {path.stem for path in folder.glob("*.sha256")} == {path.stem for path in folder.glob("*.ort")}


def test_a_budget_that_is_spent_costs_no_answer(card: Card, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    plain = answer(card, None)
    assert np.array_equal(answer(card, cache(folder, Limits(per_day=64))), plain)
    assert not list(folder.glob("*.ort"))
    assert "The optimised graph is not kept: Lookout has written" in caplog.text


def test_a_place_that_cannot_be_written_costs_no_answer(card: Card, folder: Path) -> None:
    plain = answer(card, None)
    folder.parent.mkdir(parents=True)
    folder.write_text("a file in place of the folder")
    assert np.array_equal(answer(card, cache(folder)), plain)

"""`lookout events`, each of its verbs, beside no service and beside a running one alike: it works on the files."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from lookout.events.queries import Filter
from lookout.events.store import Store

from tests.cli.conftest import Run
from tests.events.rows import DAY_S, MORNING, add, pictures_in, row, store_at


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A cat, a dog that was called a cat, a camera that was lost, and a cat of the next day in doubt."""
    made = store_at(tmp_path / ".local/state/lookout")
    add(made, row(MORNING), row(MORNING + 60, right="dog", reviewed_at=MORNING + 70), pictures=True)
    add(made, row(MORNING + 120, kind="camera_lost", label=None, probability=None))
    add(made, row(MORNING + DAY_S, doubt="unsure", ended=MORNING + DAY_S + 90), pictures=True)
    yield made
    made.close()


@pytest.mark.usefixtures("store")
def test_they_are_listed_the_newest_first_and_by_what_counts(lookout: Run) -> None:
    listed = lookout("events", "list", COLUMNS="120").stdout
    lines = [line for line in listed.splitlines() if "2026-05-0" in line]
    assert [line.split()[0] for line in lines] == ["4", "3", "2", "1"]
    assert "90 s" in lines[0]
    assert "look" in lines[0]
    assert "camera lost" in lines[1]
    assert "cat, really dog" in lines[2]
    assert "97%" in lines[3]
    dogs = lookout("events", "list", "--label", "dog", "--json").stdout
    assert [json.loads(line)["id"] for line in dogs.splitlines()] == [2]
    wrong = lookout("events", "list", "--review", "wrong", "--to", "2026-05-02", "--json").stdout
    assert [json.loads(line)["id"] for line in wrong.splitlines()] == [2]
    assert "There are more: --limit 10" in lookout("events", "list", "-n", "1").stderr
    assert "There are no such events." in lookout("events", "list", "--label", "fox").stderr


def test_before_anything_is_kept_the_list_is_empty_and_no_file_is_made(lookout: Run, tmp_path: Path) -> None:
    said = lookout("events", "list")
    assert (said.returncode, said.stderr.strip()) == (0, "There are no such events.")
    assert not list(tmp_path.rglob("events.db"))


@pytest.mark.usefixtures("store")
def test_one_is_shown_with_its_picture(lookout: Run, tmp_path: Path) -> None:
    shown = json.loads(lookout("events", "show", "1", "--picture", tmp_path / "best.jpg").stdout)
    assert (shown["label"], shown["picture"]) == ("cat", True)
    assert (tmp_path / "best.jpg").read_bytes() == b"jpg of 1"
    said = lookout("events", "show", "99")
    assert said.returncode != 0
    assert "There is no event 99." in said.stderr


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("words", [("show", "1", "--picture"), ("export",)])
def test_a_file_that_cannot_be_written_says_so(lookout: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    said = lookout("events", *words, tmp_path / "nowhere" / "file.zip")
    assert said.returncode == 1
    assert "cannot be written: No such file or directory." in " ".join(said.stderr.split())


def test_marks_are_kept_and_taken_back(store: Store, lookout: Run) -> None:
    said = lookout("events", "mark", "1", "4", "77", "--right", "dog", "--keep", "--note", "the neighbour's")
    assert said.stderr.strip() == "Marked 2 of 3."
    assert [(store.get(number).right, store.get(number).kept) for number in (1, 4)] == [("dog", True)] * 2
    lookout("events", "mark", "1", "--unmark", "--no-keep", "--note", "")
    one = store.get(1)
    assert (one.right, one.kept, one.note) == (None, False, "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mark", "1"), "There is nothing to mark."),
        (("mark", "1", "--right", " "), "--right must be"),
        (("mark", "1", "--note", "x" * 501), "--note must be"),
        (("mark", "99", "--keep"), "There is no event 99."),
        (("export", "table.txt"), "neither a table nor an archive"),
        (("delete",), "not clear what is to be deleted"),
        (("delete", "1", "--all"), "not clear what is to be deleted"),
        (("delete", "99", "--yes"), "There is no event 99."),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    store: Store, lookout: Run, words: tuple[str, ...], said: str
) -> None:
    result = lookout("events", *words)
    assert result.returncode != 0
    assert said in " ".join(result.stderr.split())
    assert len(store.page(Filter())[0]) == 4


@pytest.mark.usefixtures("store")
def test_exports_honour_marks(lookout: Run, tmp_path: Path) -> None:
    table, archive = tmp_path / "seen.csv", tmp_path / "seen.zip"
    assert lookout("events", "export", table).returncode == 0
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert [(one["id"], one["called"]) for one in rows] == [("1", "cat"), ("2", "dog"), ("3", ""), ("4", "cat")]
    lookout("events", "export", archive, "--label", "dog")
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["dog/2.jpg", "events.csv"]
        assert opened.read("dog/2.jpg") == b"jpg of 2"


def test_deleting_asks_first_and_leaves_nothing(store: Store, lookout: Run) -> None:
    refused = lookout("events", "delete", "1", stdin="n\n")
    assert refused.returncode != 0
    assert len(store.page(Filter())[0]) == 4
    assert "Deleted 1 of 1." in lookout("events", "delete", "1", stdin="y\n").stderr
    assert pictures_in(store) == {"2.jpg", "2.webp", "4.jpg", "4.webp"}
    assert "Deleted 3." in lookout("events", "delete", "--all", "--yes").stderr
    assert store.page(Filter())[0] == []
    assert pictures_in(store) == set()


def test_a_check_puts_rows_and_pictures_right(store: Store, lookout: Run) -> None:
    assert lookout("events", "check").returncode == 0
    (store.folder / "2026-05" / "1.jpg").unlink()
    (store.folder / "2026-05" / "500.jpg").write_bytes(b"of nobody")
    said = lookout("events", "check")
    assert said.returncode == 1
    assert "4 events." in said.stderr
    assert not store.get(1).picture
    assert "500.jpg" not in pictures_in(store)
    assert lookout("events", "check").returncode == 0


def test_a_check_of_a_malformed_file_keeps_what_can_be_read(store: Store, lookout: Run) -> None:
    store.database.checkpoint()
    content = bytearray(store.database.path.read_bytes())
    content[-4096 * 2 : -4096] = b"\xff" * 4096
    store.database.path.write_bytes(content)
    said = lookout("events", "check")
    assert said.returncode == 1
    assert "malformed" in said.stderr
    assert (store.folder / "events.db.malformed").exists()
    assert lookout("events", "list").returncode == 0

"""The power goes: at any moment, and after any write."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from lookout.events.queries import Filter

from tests.events.power import kill_often
from tests.events.rows import add, row, store_at


def test_killed_again_and_again_it_loses_nothing_it_acknowledged(tmp_path: Path) -> None:
    """frigate#4510: events were in progress for ever after a crash."""
    assert kill_often(tmp_path, 6, random.Random(3)) > 10


def test_after_any_prefix_of_the_writes_the_file_opens_with_what_was_kept(tmp_path: Path) -> None:
    """The log of changes cut off anywhere, as a power cut cuts it: whole transactions count, a torn one does not."""
    store = store_at(tmp_path / "whole")
    add(store, row(note="first"))
    store.database.checkpoint()
    sizes = []
    log = store.database.path.with_name("events.db-wal")
    for number in range(6):
        add(store, row(note=f"later {number}"))
        sizes.append(log.stat().st_size)
    content, base = log.read_bytes(), store.database.path.read_bytes()
    cuts = {0, 1, 31, 32, 33, len(content) - 1, len(content)}
    cuts |= {size + off for size in sizes for off in (-1, 0, 1, 24, 2000)} | set(range(0, len(content), 7001))
    for cut in sorted(cut for cut in cuts if 0 <= cut <= len(content)):
        folder = tmp_path / "cut" / "events"
        folder.mkdir(parents=True)
        (folder / "events.db").write_bytes(base)
        (folder / "events.db-wal").write_bytes(content[:cut])
        after = store_at(tmp_path / "cut")
        (new,) = add(after, row(note="after"))
        notes = [event.note for event in after.page(Filter())[0]][::-1]
        whole = sum(size <= cut for size in sizes)
        assert notes == ["first", *(f"later {number}" for number in range(whole)), "after"], cut
        assert new == whole + 2
        assert after.database.set_aside == 0
        after.close()
        shutil.rmtree(tmp_path / "cut")
    store.close()

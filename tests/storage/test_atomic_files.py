"""Replacing a file: the new content or the old, and nothing left beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lookout.storage.atomic_files import replace_file, replacement


def test_a_file_is_for_its_owner_only_unless_a_mode_is_given(tmp_path: Path) -> None:
    replace_file(tmp_path / "secret", b"x")
    replace_file(tmp_path / "shared", b"x", mode=0o644)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("secret", "shared")] == [0o600, 0o644]


def test_what_a_caller_writes_itself_replaces_the_file_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with replacement(path) as temporary:
        temporary.write_bytes(b"first")
    with pytest.raises(IsADirectoryError):
        _write_half(path)
    assert path.read_bytes() == b"first"
    assert [entry.name for entry in tmp_path.iterdir()] == ["checkpoint"]


def _write_half(path: Path) -> None:
    with replacement(path) as temporary:
        temporary.write_bytes(b"half")
        path.parent.read_bytes()  # fails

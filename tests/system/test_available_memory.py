"""The memory left is that of the container or unit, not that of the machine around it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from lookout.system.available_memory import available_memory

MB = 2**20


def _group(root: Path, name: str, **files: str) -> None:
    folder = root / "sys/fs/cgroup" / name
    folder.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        (folder / f"memory.{file}").write_text(f"{text}\n")


def _own_group(root: Path, lines: str) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(lines)


def test_a_containers_limit_counts(tmp_path: Path) -> None:
    """As a container sees it: its own group is the root. Files read once are dropped when memory is needed."""
    _own_group(tmp_path, "0::/\n")
    stat = f"anon {150 * MB}\nfile {60 * MB}\ninactive_anon 0\ninactive_file {40 * MB}\nactive_file {20 * MB}"
    _group(tmp_path, "", max=str(256 * MB), high="max", current=str(210 * MB), stat=stat)
    assert available_memory(tmp_path) == (256 - 210 + 40) * MB


@pytest.mark.parametrize(("unit", "slice_", "left"), [("512", "max", 412), ("512", "300", 150), ("max", "300", 150)])
def test_the_tightest_of_the_unit_and_the_groups_around_it_counts(
    tmp_path: Path, unit: str, slice_: str, left: int
) -> None:
    def limit(text: str) -> str:
        return text if text == "max" else str(int(text) * MB)

    _own_group(tmp_path, "1:name=systemd:/elsewhere\n0::/system.slice/lookout.service\n")
    _group(tmp_path, "system.slice/lookout.service", max=limit(unit), current=str(100 * MB))
    _group(tmp_path, "system.slice", max="max", high=limit(slice_), current=str(150 * MB))
    assert available_memory(tmp_path) == left * MB


@pytest.mark.parametrize("lines", ["", "0::/\n", "4:memory:/docker/1\n", "0::/../other\n", "0::/gone.slice\n"])
def test_without_a_limit_it_is_what_the_machine_has_left(tmp_path: Path, lines: str) -> None:
    _own_group(tmp_path, lines)
    _group(tmp_path, "", current="1")
    assert abs(available_memory(tmp_path) - psutil.virtual_memory().available) < 500 * MB


def test_a_group_that_is_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    _own_group(tmp_path, "0::/\n")
    _group(tmp_path, "", max="1000", current="2000")
    assert available_memory(tmp_path) == 0

"""A root file system that forgets: raspi-config's overlay is noticed, a container's layers are not taken for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from lookout.errors import DiskVolatile
from lookout.storage import watch
from lookout.storage.volatile import is_in_memory, is_under_overlay
from lookout.storage.watch import DiskWatch

PI = """\
21 1 0:20 / / rw,noatime - overlay overlay rw,lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work
22 21 179:1 / /boot/firmware rw - vfat /dev/mmcblk0p1 rw
23 21 8:1 / /mnt/my\\040stick rw - ext4 /dev/sda1 rw
"""
OVERLAYROOT = """\
21 1 0:20 / / rw - overlay overlayroot rw,lowerdir=/media/root-ro,upperdir=/media/root-rw/overlay,workdir=/media/x
24 21 0:21 / /media/root-rw rw - tmpfs tmpfs-root rw
"""
CONTAINER = """\
21 1 0:20 / / rw - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/A,upperdir=/var/lib/docker/overlay2/b/diff
25 21 8:1 / /var/lib/lookout rw - ext4 /dev/sda1 rw
"""
STATE = Path("/var/lib/lookout")


@pytest.mark.parametrize(
    ("mounts", "kernel", "folder", "forgets"),
    [
        (PI, "console=tty1 boot=overlay root=PARTUUID=1", STATE, True),
        (PI, "console=tty1 boot=overlay root=PARTUUID=1", Path("/mnt/my stick/lookout"), False),
        (PI, "overlayroot=tmpfs root=PARTUUID=1", STATE, True),
        (OVERLAYROOT, "root=PARTUUID=1", STATE, True),
        (CONTAINER, "root=/dev/sda1", Path("/root/.local/state/lookout"), False),
        (CONTAINER, "overlayroot=disabled", Path("/root"), False),
        ("", "", STATE, False),
        ("odd\nlines - of\n", "boot=overlay", STATE, False),
    ],
)
def test_an_overlay_that_forgets(tmp_path: Path, mounts: str, kernel: str, folder: Path, forgets: bool) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(mounts)
    (tmp_path / "proc/cmdline").write_text(kernel)
    assert is_under_overlay(folder, tmp_path) is forgets


def test_a_tmpfs(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(OVERLAYROOT)
    assert is_in_memory(Path("/media/root-rw/x"), tmp_path)
    assert not is_in_memory(STATE, tmp_path)


def test_the_state_says_that_changes_will_be_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert DiskWatch(tmp_path).look() is None
    monkeypatch.setattr(watch, "is_under_overlay", lambda _: True)
    trouble = DiskWatch(tmp_path).look()
    assert isinstance(trouble, DiskVolatile)
    assert "lost" in trouble.detail

"""One service a state folder; the second is refused and says whose it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lookout.errors import StateFolderInUse
from lookout.storage import holder_of, holders, sole_use
from lookout.storage.lock import LOCK_FILE


def test_a_second_is_refused_until_the_first_has_ended(tmp_path: Path) -> None:
    with sole_use(tmp_path):
        with pytest.raises(StateFolderInUse, match=f"process {os.getpid()} "), sole_use(tmp_path):
            pass
        assert "--" not in (tmp_path / LOCK_FILE).read_text(), "flags may hold a password"
    with sole_use(tmp_path):
        pass


def test_other_commands_see_who_holds_it_and_where_that_one_is_reached(tmp_path: Path) -> None:
    assert holder_of(tmp_path) is None
    with sole_use(tmp_path) as hold:
        hold.note("http://127.0.0.1:9000/")
        holder = holder_of(tmp_path)
        assert holder is not None
        assert (holder.process, holder.address) == (os.getpid(), "http://127.0.0.1:9000/")
    assert holder_of(tmp_path) is None, "what it wrote is left behind, and means nothing"
    assert tmp_path not in {holder.folder for holder in holders()}


def test_a_process_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from lookout.storage import sole_use\n"
        "with sole_use(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == b"held\n"
    with pytest.raises(StateFolderInUse, match=f"process {holder.pid} "), sole_use(tmp_path):
        pass
    holder.send_signal(signal.SIGKILL)
    holder.wait(10)
    with sole_use(tmp_path):
        pass


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/passwd")])
def test_what_lies_in_the_place_of_the_lock_does_not_keep_the_service_from_running(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / LOCK_FILE)
    with sole_use(tmp_path):
        pass
    assert not (tmp_path / LOCK_FILE).is_file() or (tmp_path / LOCK_FILE).is_symlink()

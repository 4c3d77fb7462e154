"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Pieces too small for a mapping of their own, with one at the end that keeps the heap from shrinking by itself.
_ON_THE_MAIN_THREAD = "take_and_free(2_000, keep_last=True)"
# The large block, once freed, has the C library keep up to twice its size at the end of every thread's heap.
_ON_ANOTHER_THREAD = """
libc.free(libc.malloc(20_000_000))
thread = threading.Thread(target=take_and_free, args=(600,))
thread.start()
thread.join()
"""
_CODE = """
import ctypes, platform, threading
import psutil
from lookout.system.memory import release_free_memory, limit_arenas

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]

def take_and_free(pieces, keep_last=False):
    taken = [libc.malloc(60_000) for _ in range(pieces)]
    for piece in taken:
        ctypes.memset(piece, 1, 60_000)
    for piece in taken[: -1 if keep_last else None]:
        libc.free(piece)

limit_arenas()
before = psutil.Process().memory_info().rss
{case}
release_free_memory()
print(psutil.Process().memory_info().rss - before, platform.libc_ver()[0])
"""


@pytest.mark.parametrize(
    "case",
    [pytest.param(_ON_THE_MAIN_THREAD, id="main thread"), pytest.param(_ON_ANOTHER_THREAD, id="another thread")],
)
def test_what_was_freed_is_handed_back(case: str) -> None:
    """Of 120 MB and of 36 MB."""
    code = _CODE.format(case=case)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    left, *library = done.stdout.split()
    if library != ["glibc"]:
        pytest.skip("needs the GNU C library")  # what is tested is a cure for its heaps
    assert int(left) < 3_000_000


def test_imports_are_not_searched_for_garbage_then_or_later() -> None:
    """Nor does a failed import leave the collection switched off."""
    code = """
import gc
from lookout.system.memory import without_collection
looks = []
gc.callbacks.append(lambda phase, _: looks.append(phase))
before = gc.get_freeze_count()
with without_collection():
    made = [[] for _ in range(50_000)]
assert looks == [], looks
assert gc.get_freeze_count() >= before + 50_000
try:
    with without_collection():
        raise ImportError
except ImportError:
    pass
assert gc.isenabled()
kept = [[] for _ in range(50_000)]
assert looks
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)


def test_the_command_line_is_imported_without_it() -> None:
    code = """
import gc, sys
looks = []
gc.callbacks.append(lambda phase, _: looks.append(len(sys.modules)))
sys.argv = ["lookout", "--version"]
from lookout.__main__ import main
begun = len(sys.modules)
try:
    main()
except SystemExit:
    pass
assert not [modules for modules in looks if begun + 20 < modules < len(sys.modules) - 20], looks
"""
    subprocess.run([sys.executable, "-c", code], timeout=60, check=True)

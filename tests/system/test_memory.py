"""Memory that was freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

_CODE = """
import ctypes, platform
from service.system.memory import hand_back
import psutil
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
# Pieces too small for a mapping of their own, with one at the end that keeps the heap from shrinking by itself.
pieces = [libc.malloc(60_000) for _ in range(2_000)]
for piece in pieces:
    ctypes.memset(piece, 1, 60_000)
for piece in pieces[:-1]:
    libc.free(piece)
before = psutil.Process().memory_info().rss
hand_back()
print(before - psutil.Process().memory_info().rss, platform.libc_ver()[0])
"""


def test_what_was_freed_is_handed_back() -> None:
    done = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=60, check=True)
    returned, *library = done.stdout.split()
    if library != ["glibc"]:
        pytest.skip("needs the GNU C library")
    assert int(returned) > 80_000_000

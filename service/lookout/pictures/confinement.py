"""Confines the decoding process: limits on memory, processor time, files and system calls."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from lookout.system import memory

CPU_S = 10  # seconds of processor time for one picture; the largest accepted pictures take about four on a Pi 3
_DESCRIPTORS = 32

# From linux/prctl.h, linux/seccomp.h, linux/filter.h and linux/audit.h.
_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # with EPERM
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _JUMP_IF_ANY, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_X32 = 0x40000000  # the start of x86-64's second set of system call numbers
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

# For each architecture: its id in filters; the calls that open files, with the position of their flags; and the refused
# calls, the same for both: sockets, programs, processes and threads, signals, other processes' memory, file names, the
# kernel.
_SAME = (424, 425, 434, 435, 437, 438)  # pidfd_*, io_uring_setup, clone3, openat2
_MACHINES: dict[str, tuple[int, tuple[tuple[int, int], ...], tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        ((257, 2), (2, 1)),
        (41, 42, 43, 49, 50, 53, 56, 57, 58, 59, 62, 76, 82, 83, 84, 85, 86, 87, 88, 90, 92, 101, 165, 200, 250, 258,
         263, 264, 265, 266, 268, 272, 298, 308, 310, 311, 316, 321, 322, 323),
    ),
    "aarch64": (
        0xC00000B7,
        ((56, 2),),
        (34, 35, 36, 37, 38, 40, 45, 53, 54, 97, 117, 129, 130, 198, 199, 200, 201, 202, 203, 219, 220, 221, 241, 268,
         270, 271, 276, 280, 281, 282),
    ),
}  # fmt: skip


class Limits:
    """The limits of this process, reset for each picture. Create it once everything needed is loaded."""

    def __init__(self) -> None:
        memory.prefer_as_oom_victim()
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_NOFILE, _DESCRIPTORS)
        _refuse_system_calls()
        self._at_rest = _data_bytes()

    def begin(self, memory: int) -> None:
        """Reset the limits. memory: bytes that the next picture may take, beyond those already in use."""
        self.memory(memory)
        _limit(resource.RLIMIT_FSIZE, memory)  # shared memory counts, too
        _limit(resource.RLIMIT_CPU, int(time.process_time()) + CPU_S + 1)

    def memory(self, memory: int) -> None:
        # RLIMIT_DATA counts private writable memory, used or not, but no libraries or mapped files.
        _limit(resource.RLIMIT_DATA, self._at_rest + max(0, memory))


@contextlib.contextmanager
def bounded_memory(memory: int) -> Iterator[None]:
    """Limit the memory that this process, with all its threads, may allocate within the block, to this many bytes.

    For a process that decodes one picture at a time besides other work. Must not be nested.
    """
    before = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = _data_bytes() + memory
    allowed = [value for value in before if value != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_DATA, (min([wanted, *allowed]), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _data_bytes() -> int:
    """The bytes that count for RLIMIT_DATA."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0


def _refuse_system_calls() -> None:
    """Refuse system calls, so that an exploited decoder cannot reach the network or other processes, or change files.

    If the kernel or the architecture does not support filters, only the limits apply.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return
    program = filter_program(*machine)
    code = ctypes.create_string_buffer(program)
    described = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0:
        libc.prctl(_SET_SECCOMP, _FILTER, ctypes.c_char_p(described), 0, 0)


def filter_program(architecture: int, opens: tuple[tuple[int, int], ...], refused: tuple[int, ...]) -> bytes:
    """Make a seccomp filter (BPF instructions) that allows everything except the calls listed here.

    opens: numbers of the calls that open files, with the position of their flags. Opening for writing is refused.
    """
    steps: list[tuple[int, int, int, int]] = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_JUMP_IF_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_IF_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _REFUSE),
    ]
    for number in sorted({*refused, *_SAME}):
        steps += [(_JUMP_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _REFUSE)]
    for number, flags in opens:
        steps += [
            (_JUMP_IF_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _ARGUMENTS_AT + 8 * flags),
            (_JUMP_IF_ANY, 0, 1, _WRITES),
            (_RETURN, 0, 0, _REFUSE),
            (_RETURN, 0, 0, _ALLOW),
        ]
    steps.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *step) for step in steps)

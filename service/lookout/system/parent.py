"""Child processes that must end with the process that started them. Standard library only."""

from __future__ import annotations

import fcntl
import os
import select
import signal


def die_with(life: int) -> None:
    """Make the kernel kill this process when the service's end of the pipe `life` closes, for whatever reason.

    A signal on the pipe rather than PR_SET_PDEATHSIG, which follows the *thread* that started the child; and rather
    than a watching thread, which could not run while a driver holds the interpreter's lock.
    """
    fcntl.fcntl(life, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(life, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    waiting = select.poll()
    waiting.register(life, select.POLLIN)
    if waiting.poll(0):  # it closed before the signal was armed
        os._exit(1)

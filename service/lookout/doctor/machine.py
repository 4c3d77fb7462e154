"""Checks of the machine: system, supply, temperature, memory, disk, clock."""

from __future__ import annotations

import os
import platform
import re
import shutil
import struct
from pathlib import Path

from lookout.doctor.check import Check, Context, Finding, ok, skipped
from lookout.errors import DiskSlow
from lookout.storage import with_timeout
from lookout.storage.volatile import is_in_memory, is_under_overlay
from lookout.system import clock, thermal
from lookout.system.available_memory import left_in_groups

WARM_C = 80.0  # from here the firmware slows the processor down
MIN_FREE_BYTES = 200 * 2**20
FULL_BYTES = 2**20
_FREE_SPACE = "Free some space: sudo apt clean; sudo journalctl --vacuum-size=50M."
MIN_MEMORY_BYTES = 150 * 2**20
MIN_CMA_KB = 16 * 1024  # four buffers of a small stream


def _bits(_: Context) -> Finding:
    bits = struct.calcsize("P") * 8
    if bits == 64:
        return ok(f"64-bit system ({platform.machine()}).")
    return Finding(
        "fail",
        f"This Python is {bits}-bit, but onnxruntime exists only for 64-bit systems.",
        "Write the 64-bit Raspberry Pi OS to the card with Raspberry Pi Imager.",
    )


def _python(_: Context) -> Finding:
    version = platform.python_version()
    return ok(f"{platform.python_implementation()} {version}.")


def _page_size(context: Context) -> Finding:
    size = os.sysconf("SC_PAGE_SIZE")
    if size > 4096 and context.is_pi:
        return ok(
            f"Memory pages of {size // 1024} KiB, as a Pi 5 has by default. Lookout and its parts work with them."
        )
    return ok(f"Memory pages of {size // 1024} KiB.")


def _supply(context: Context) -> Finding:
    words = thermal.throttled(context.root / "sys")
    known = (
        thermal.throttle_bits(context.root / "sys") is not None
        or thermal.under_voltage(context.root / "sys") is not None
    )
    if not known:
        return skipped("This machine does not measure its supply voltage.")
    volts = [word for word in words if "under-voltage" in word]
    if not volts:
        return ok("The supply voltage is stable.")
    now = "under-voltage now" in volts
    return Finding(
        "fail" if now else "warn",
        f"The supply drops below 4.63 V ({', '.join(volts)}).",
        "Use the official supply (Pi 5: 5 V 5 A; Pi 4: 5 V 3 A) with its own cable.",
    )


def _throttling(context: Context) -> Finding:
    celsius = thermal.temperature_c(context.root / "sys")
    words = [word for word in thermal.throttled(context.root / "sys") if "under-voltage" not in word]
    said = f"{celsius:g} °C" if celsius is not None else "temperature unknown"
    if any(word.endswith("now") for word in words) or (celsius or 0) >= WARM_C:
        return Finding(
            "warn",
            f"The processor is throttled: {', '.join([said, *words])}.",
            "Give it a heat sink or fan, or set answer.max_rate lower.",
        )
    if celsius is None and not words:
        return skipped("This machine does not report its temperature.")
    since = f"; before that: {', '.join(words)}" if words else ""
    return ok(f"{said}{since}.")


def _memory(context: Context) -> Finding:
    available = _kilobytes(context.text("proc/meminfo"), "MemAvailable")
    if available is None:
        return skipped("The kernel does not report how much memory is free.")
    machine = available * 1024
    left = min((machine, *left_in_groups(context.root)))
    if left < MIN_MEMORY_BYTES:
        return Finding(
            "warn",
            f"Only {left >> 20} MiB of memory are available; Lookout needs about {MIN_MEMORY_BYTES >> 20}.",
            "Close other programs, a browser above all, or boot to the console (raspi-config, System Options, Boot)."
            if left == machine
            else "Raise the memory limit of its container or unit.",
        )
    return ok(f"{left >> 20} MiB of memory available.")


def _cma(context: Context) -> Finding:
    total, free = (_kilobytes(context.text("proc/meminfo"), name) for name in ("CmaTotal", "CmaFree"))
    if not total:
        return skipped("No memory is reserved for cameras (CMA) on this machine.")
    if (free or 0) < MIN_CMA_KB:
        return Finding(
            "warn",
            f"Only {(free or 0) // 1024} of {total // 1024} MiB of contiguous memory (CMA) are free for the camera.",
            "Set dtoverlay=vc4-kms-v3d,cma-256 in /boot/firmware/config.txt and restart.",
        )
    return ok(f"{(free or 0) // 1024} of {total // 1024} MiB of contiguous memory (CMA) free for camera pictures.")


def _kilobytes(text: str, name: str) -> int | None:
    found = re.search(rf"^{name}:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) if found else None


def _disk(context: Context) -> Finding:
    folder = context.loaded.state_folder if context.loaded else context.root
    try:
        return with_timeout(folder, lambda: _disk_under(folder))
    except DiskSlow as error:
        return Finding("fail", f"The disk that holds {folder} does not answer.", error.remedy)


def _disk_under(folder: Path) -> Finding:
    while not folder.exists():
        folder = folder.parent
    flags = os.statvfs(folder).f_flag
    if flags & os.ST_RDONLY:
        return Finding(
            "fail",
            f"The disk under {folder} is mounted read-only.",
            "A dying card does that: back up what matters, and write the system to a new card.",
        )
    free = shutil.disk_usage(folder).free
    if free < FULL_BYTES:
        return Finding("fail", f"The disk under {folder} is full.", _FREE_SPACE)
    if is_under_overlay(folder.absolute()) or is_in_memory(folder.absolute()):
        return Finding(
            "warn",
            f"What is kept under {folder} is in memory, and lost at a restart.",
            "Turn the overlay off (sudo raspi-config, Performance Options), or set state.folder to a disk.",
        )
    if free < MIN_FREE_BYTES:
        return Finding("warn", f"Only {free >> 20} MiB are free under {folder}.", _FREE_SPACE)
    return ok(f"{free / 2**30:.1f} GiB free under {folder}.")


def _clock(_: Context) -> Finding:
    synchronised = clock.synchronised()
    if synchronised is None:
        return skipped("The kernel does not report whether a time server has set the clock.")
    if synchronised:
        return ok("The clock is set by a time server.")
    return Finding(
        "warn",
        "No time server has set the clock yet, so times may be wrong. Lookout's measurements do not depend on it.",
        "Connect the network; then: timedatectl status. A Pi 5 keeps the time with a battery on its J5 connector.",
    )


def _sys_mounted(context: Context) -> Finding:
    if (context.root / "sys/devices/system/cpu/possible").exists():
        return ok("/sys shows the processors.")
    return Finding(
        "warn",
        "/sys/devices/system/cpu is hidden, so onnxruntime cannot see which instructions the processor has.",
        "Mount /sys read-only into the container, or remove ProtectKernelTunables-like options that hide it.",
    )


MACHINE_CHECKS = (
    Check("system", _bits),
    Check("python", _python),
    Check("pages", _page_size),
    Check("processors", _sys_mounted),
    Check("supply", _supply),
    Check("temperature", _throttling),
    Check("memory", _memory),
    Check("camera memory", _cma),
    Check("disk", _disk),
    Check("clock", _clock),
)

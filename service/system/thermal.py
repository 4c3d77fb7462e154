"""Heat and power as the kernel tells them in /sys; quiet where it does not, so readable without a Pi."""

from __future__ import annotations

from pathlib import Path

SYS = Path("/sys")
# The firmware's get_throttled word: what is so now, and (16 bits higher) what was so since boot.
_NOW = {0: "under-voltage now", 1: "frequency capped now", 2: "throttled now", 3: "too hot now"}
_SINCE_BOOT = {
    16: "under-voltage since boot",
    17: "frequency capped since boot",
    18: "throttled since boot",
    19: "too hot since boot",
}


def temperature_c(sys: Path = SYS) -> float | None:
    """The processor's temperature in degrees Celsius."""
    for zone in sorted(sys.glob("class/thermal/thermal_zone*")):
        kind = (_text(zone / "type") or "").lower()
        value = _number(zone / "temp")
        if value is not None and ("cpu" in kind or "soc" in kind or "x86_pkg" in kind):
            return round(value / 1000.0, 1)
    return None


def throttled(sys: Path = SYS) -> tuple[str, ...]:
    """What holds the processor back, in words; empty when all is well or nothing is known."""
    word = _hexadecimal(sys / "devices/platform/soc/soc:firmware/get_throttled")
    if word is not None:
        return throttle_words(word)
    return ("under-voltage now",) if _voltage_alarm(sys) else ()


def throttle_words(word: int) -> tuple[str, ...]:
    """The bits of `vcgencmd get_throttled`, in words; "since boot" is left out where it is so now."""
    now = [text for bit, text in _NOW.items() if word >> bit & 1]
    was = [text for bit, text in _SINCE_BOOT.items() if word >> bit & 1 and not word >> (bit - 16) & 1]
    return (*now, *was)


def _voltage_alarm(sys: Path) -> bool:
    """The kernel's own under-voltage alarm of a Pi's supply (driver rpi_volt); needs no privileges."""
    return any(
        _text(chip / "name") == "rpi_volt" and _number(chip / "in0_lcrit_alarm") == 1
        for chip in sys.glob("class/hwmon/hwmon*")
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return None


def _number(path: Path) -> float | None:
    try:
        return float(_text(path) or "")
    except ValueError:
        return None


def _hexadecimal(path: Path) -> int | None:
    try:
        return int(_text(path) or "", 16)
    except ValueError:
        return None

"""How warm the processor is and whether it is throttled, read from /sys: no privileges, no subprocess.

On machines other than a Pi most of this does not exist; the result is then None or empty, never an error.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path("/sys")
# The firmware's bits (vcgencmd get_throttled): now, and since the last start.
BITS = {
    0: "under-voltage now",
    1: "frequency capped now",
    2: "throttled now",
    3: "soft temperature limit now",
    16: "under-voltage since boot",
    17: "frequency capped since boot",
    18: "throttled since boot",
    19: "soft temperature limit since boot",
}
_FIRMWARE = "devices/platform/soc/soc:firmware/get_throttled"
# A reading outside this range is a broken sensor, not a temperature.
_MIN_C, _MAX_C = -40.0, 150.0


def temperature_c(root: Path = ROOT) -> float | None:
    """Return the processor's temperature, or the warmest zone's if none is named after it. root: where /sys is."""
    zones: list[tuple[str, float]] = []  # several may be of one type, as on machines with two processors
    for zone in sorted((root / "class/thermal").glob("thermal_zone*")):
        text = _text(zone / "temp")
        try:
            celsius = int(text) / 1000
        except ValueError:
            continue
        if _MIN_C < celsius < _MAX_C:
            zones.append((_text(zone / "type"), celsius))
    processor = [value for name, value in zones if "cpu" in name.lower() or "pkg" in name.lower()]
    readings = processor or [value for _, value in zones]
    return round(max(readings), 1) if readings else None


def throttled(root: Path = ROOT) -> tuple[str, ...]:
    """Return what throttles the processor, in words, now and since boot; empty if nothing does."""
    bits = throttle_bits(root)
    if bits is not None:
        return tuple(words for bit, words in BITS.items() if bits >> bit & 1)
    return (BITS[0],) if under_voltage(root) else ()


def throttle_bits(root: Path = ROOT) -> int | None:
    """Return the firmware's value, or None without such firmware."""
    try:
        return int(_text(root / _FIRMWARE), 16)
    except ValueError:
        return None


def under_voltage(root: Path = ROOT) -> bool | None:
    """Return whether the supply is, or was since the last reading, below about 4.63 V; None if it is not measured."""
    for sensor in sorted((root / "class/hwmon").glob("hwmon*")):
        if _text(sensor / "name") == "rpi_volt":
            alarm = _text(sensor / "in0_lcrit_alarm")
            return alarm == "1" if alarm else None
    return None


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace").strip()
    except OSError:
        return ""

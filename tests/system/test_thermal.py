"""Temperature, throttling and supply from made-up /sys folders."""

from __future__ import annotations

from pathlib import Path

import pytest
from lookout.system.thermal import temperature_c, throttled, under_voltage


def put(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def zone(root: Path, number: int, kind: str, millidegrees: str) -> None:
    put(root, f"class/thermal/thermal_zone{number}/type", kind)
    put(root, f"class/thermal/thermal_zone{number}/temp", millidegrees)


def test_a_machine_without_sensors_reports_nothing(tmp_path: Path) -> None:
    assert (temperature_c(tmp_path), throttled(tmp_path), under_voltage(tmp_path)) == (None, (), None)


def test_the_processors_zone_goes_before_warmer_ones(tmp_path: Path) -> None:
    zone(tmp_path, 0, "battery", "61000")
    assert temperature_c(tmp_path) == 61.0
    zone(tmp_path, 1, "cpu-thermal", "51234\n")
    assert temperature_c(tmp_path) == 51.2


def test_of_two_processors_the_warmer_counts(tmp_path: Path) -> None:
    zone(tmp_path, 0, "x86_pkg_temp", "88000")
    zone(tmp_path, 1, "x86_pkg_temp", "45000")
    assert temperature_c(tmp_path) == 88.0


@pytest.mark.parametrize("reading", ["", "x", "-273000", "999000"])
def test_a_broken_sensor_is_left_out(tmp_path: Path, reading: str) -> None:
    zone(tmp_path, 0, "cpu-thermal", reading)
    assert temperature_c(tmp_path) is None


@pytest.mark.parametrize(
    ("bits", "words"),
    [
        ("0", ()),
        ("0x50000", ("under-voltage since boot", "throttled since boot")),
        ("50005", ("under-voltage now", "throttled now", "under-voltage since boot", "throttled since boot")),
        ("a", ("frequency capped now", "soft temperature limit now")),
        ("garbage", ()),
    ],
)
def test_the_firmwares_bits_in_words(tmp_path: Path, bits: str, words: tuple[str, ...]) -> None:
    put(tmp_path, "devices/platform/soc/soc:firmware/get_throttled", bits)
    assert throttled(tmp_path) == words


def test_without_firmware_the_supplys_sensor_is_asked(tmp_path: Path) -> None:
    put(tmp_path, "class/hwmon/hwmon0/name", "cpu_thermal")
    put(tmp_path, "class/hwmon/hwmon1/name", "rpi_volt")
    assert under_voltage(tmp_path) is None
    put(tmp_path, "class/hwmon/hwmon1/in0_lcrit_alarm", "1")
    assert throttled(tmp_path) == ("under-voltage now",)

"""Are there wheels for 64-bit Arm of everything we depend on, and how much does a Pi download?

    python tests/packaging/arm64_wheels.py

Resolves the dependencies of pyproject.toml with pip as the Pythons of both Raspberry Pi OS generations would, wheels
only, and adds up their sizes: first what everybody needs, then with the extra "integrations", which the installer and
the image bring. Exit 1 when something has no wheel or a sum is above its limit.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = {"311": "Raspberry Pi OS bookworm", "313": "Raspberry Pi OS trixie"}
# bookworm has glibc 2.36, trixie 2.41; pip must get each older level that a wheel may be tagged with.
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(36, 16, -1)] + ["manylinux2014_aarch64", "linux_aarch64"]
# The goal is missed by what FFmpeg takes (PyAV, 34 MB): OpenCV's reader cannot say that it decoded nothing.
GOAL_BYTES, LIMIT_BYTES = 105_000_000, 132_000_000
EXTRA_LIMIT_BYTES = 7_000_000  # zeroconf came with 1.4 MB


def integrations(extras: dict[str, list[str]]) -> list[str]:
    """What the extra "integrations" stands for: its names of other extras replaced by their requirements."""
    names = extras["integrations"][0].partition("[")[2].partition("]")[0].split(",")
    return [requirement for name in names for requirement in extras[name]]


def download(version: str, dependencies: list[str], folder: Path) -> list[Path]:
    """Download the wheels for one Python; raises CalledProcessError where pip finds none."""
    command = [sys.executable, "-m", "pip", "download", "-qq", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", version, "--dest", str(folder)]
    for platform in PLATFORMS:
        command += ["--platform", platform]
    subprocess.run([*command, *dependencies], check=True)
    return sorted(folder.glob("*.whl"), key=lambda wheel: -wheel.stat().st_size)


def main() -> int:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wrong = False
    for version, system in PYTHONS.items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                wheels = download(version, project["dependencies"], Path(folder))
                extra = integrations(project["optional-dependencies"])
                whole = download(version, [*project["dependencies"], *extra], Path(folder))
            except subprocess.CalledProcessError:
                print(f"CPython {version} ({system}): no complete set of wheels, see above")
                wrong = True
                continue
            total = sum(wheel.stat().st_size for wheel in wheels)
            largest = ", ".join(f"{w.name.split('-')[0]} {w.stat().st_size / 1e6:.1f}" for w in wheels[:5])
            verdict = "ok" if total <= GOAL_BYTES else "ABOVE THE GOAL"
            print(
                f"CPython {version} ({system}): {len(wheels)} wheels for 64-bit Arm, {total / 1e6:.1f} MB ({largest})"
            )
            print(f"  goal: at most {GOAL_BYTES / 1e6:.0f} MB: {verdict} (limit: {LIMIT_BYTES / 1e6:.0f} MB)")
            added = sum(wheel.stat().st_size for wheel in whole) - total
            print(
                f"  the extra integrations: {added / 1e6:.1f} MB more (limit: {EXTRA_LIMIT_BYTES / 1e6:.0f} MB), "
                f"so the installer fetches {(total + added) / 1e6:.1f} MB"
            )
            wrong |= total > LIMIT_BYTES or added > EXTRA_LIMIT_BYTES
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())

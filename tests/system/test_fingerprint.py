"""The fingerprint distinguishes kinds of machines, and never two of a kind."""

from __future__ import annotations

from pathlib import Path

from lookout.system.fingerprint import Machine, machine

ARM = """processor : 0
Features : fp asimd asimddp
CPU implementer : 0x41
CPU part : 0xd0b
CPU revision : 1

Serial : {serial}
Model : Raspberry Pi 5 Model B
"""


def made(root: Path, *, serial: str = "1", memory_kb: int = 8_245_000, features: str = "asimddp") -> Machine:
    (root / "proc/device-tree").mkdir(parents=True, exist_ok=True)
    (root / "proc/cpuinfo").write_text(ARM.format(serial=serial).replace("asimddp", features))
    (root / "proc/meminfo").write_text(f"MemTotal:  {memory_kb} kB\n")
    (root / "proc/device-tree/model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    return machine(root)


def test_a_pi_is_named_by_its_board(tmp_path: Path) -> None:
    found = made(tmp_path)
    assert found.processor == "0x41 0xd0b 1"
    assert found.features == ("asimd", "asimddp", "fp")
    assert str(found).startswith("Raspberry Pi 5 Model B Rev 1.0, ")
    assert found.memory == 8 * 2**30


def test_cards_move_between_equal_pis(tmp_path: Path) -> None:
    assert made(tmp_path, serial="1").key == made(tmp_path, serial="2", memory_kb=8_200_000).key


def test_another_processor_or_memory_is_another_key(tmp_path: Path) -> None:
    key = made(tmp_path).key
    assert made(tmp_path, features="sve").key != key
    assert made(tmp_path, memory_kb=4_000_000).key != key
    assert len(key) == 16


def test_a_machine_without_readings_still_has_a_key(tmp_path: Path) -> None:
    assert len(machine(tmp_path).key) == 16

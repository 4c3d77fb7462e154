"""The machine: systemd, temperature, disk; readable without a Pi."""

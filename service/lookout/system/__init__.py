"""The machine: systemd, temperature, clock, memory, files that last; readable without a Pi."""

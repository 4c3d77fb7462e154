"""The machine: systemd, temperature, clock, memory, users and files; works without a Pi, too."""

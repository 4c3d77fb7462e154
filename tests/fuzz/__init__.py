"""Hostile input for every decoder of outside bytes: `python -m tests.fuzz` tries ten thousand of each."""

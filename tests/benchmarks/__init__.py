"""Comparisons with other programs, side by side in one run: `python -m tests.benchmarks uploads|viewers|jpeg12mp`.

A benchmark reports; it never fails a test run. What is compared takes turns in short rounds, so that a busy moment of
the machine meets all of them, and the medians of the rounds are compared. Other programs run in environments of
their own (`.venv-bench-...`), made on first use.
"""

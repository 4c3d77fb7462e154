"""Measurements of this machine, beside the goals that were set."""

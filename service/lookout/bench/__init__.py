"""Measurements of this machine, compared with the stated goals."""

"""Lookout: says, truthfully and at once, what a camera sees. This package imports nothing heavy."""

__version__ = "0.1.0"

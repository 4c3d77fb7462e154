"""Tests of lookout.focus."""

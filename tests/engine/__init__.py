"""Tests of lookout.engine."""

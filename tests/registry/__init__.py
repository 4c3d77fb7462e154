"""Tests of lookout.registry."""

"""Tests of lookout.settings."""

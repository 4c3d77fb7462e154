"""Tests of lookout.pipeline."""

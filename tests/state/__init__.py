"""Tests of lookout.state."""

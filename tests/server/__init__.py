"""Tests of lookout.server."""

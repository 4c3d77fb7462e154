"""Tests of service/pipeline."""

"""Figures for Prometheus: counted while the worker goes, written when they are asked for."""

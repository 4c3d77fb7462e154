"""Metrics for Prometheus: counted by the worker, formatted when they are scraped."""

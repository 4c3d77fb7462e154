"""Faults injected for real into a running service: what its users see meanwhile, and that it recovers by itself."""

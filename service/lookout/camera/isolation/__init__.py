"""A source in a process of its own, and the line and shared memory between it and the service."""

"""A source in a separate process, with the socket and the shared memory between it and the service."""

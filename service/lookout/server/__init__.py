"""The HTTP server: sockets, connections, TLS, start and stop."""

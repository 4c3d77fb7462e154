"""One module a kind of source, each behind `camera.interface.Camera`."""

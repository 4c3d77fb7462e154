"""One module per kind of source, each behind `camera.interface.Camera`."""

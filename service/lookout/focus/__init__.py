"""Where to zoom in: at what has changed in a fixed scene and, in a slow scan, at the rest; and the combined result."""

"""Zooming in on a fixed scene, on parts that have changed and, in a slow scan, on the rest; and the combined result."""

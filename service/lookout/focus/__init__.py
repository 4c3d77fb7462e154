"""Where to look: what has changed in a fixed scene, a slow scan of the rest, and what both say with the whole."""

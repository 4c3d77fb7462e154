"""The models that are there, how one is loaded, and which precision and thread count run fastest here."""

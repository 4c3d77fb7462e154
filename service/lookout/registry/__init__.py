"""The available models, how one is loaded, and which precision and thread count run fastest here."""

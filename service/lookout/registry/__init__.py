"""The installed models, loading one, and measuring which precision and thread count run fastest here."""

"""The generated pages of docs/: `python -m tests.docs` writes them, a test compares."""

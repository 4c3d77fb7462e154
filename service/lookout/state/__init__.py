"""The state that everybody sees: what it holds, what it means at a given moment, and who is woken when it changes."""

"""The state that every interface serves: what it holds, what it means at a given moment, and who is notified of it."""

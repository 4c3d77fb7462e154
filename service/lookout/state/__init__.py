"""The state that every interface serves: its content, its meaning at a given time, and how watchers are notified."""

"""Keeps the network that shows its layers: loaded on request, released when it has not been used for a while."""

from __future__ import annotations

import threading

from lookout.inspection.feature_maps import MapNetwork
from lookout.pipeline.classifier import Classifier
from lookout.system import memory

# Such a network takes 40 MB in int8 and 70 MB in fp32: too much to keep unused, too slow to load for each request.
KEPT_S = 60.0


class MapNetworkCache:
    """Keeps at most one such network. Thread-safe. `now` is in monotonic seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._network: MapNetwork | None = None
        self._used_at = 0.0

    @property
    def loaded(self) -> bool:
        return self._network is not None

    def network(self, classifier: Classifier, now: float) -> MapNetwork:
        """Return the one for the network in use; loads it if needed, which may take seconds. Raises UnknownModel."""
        with self._lock:
            self._used_at = now
            kept = self._network
            if kept is None or kept.card is not classifier.card or kept.precision != classifier.precision:
                self._network = None
                self._network = MapNetwork.load(classifier)
            assert self._network is not None
            return self._network

    def rest(self, now: float) -> None:
        """Release a network that has not been used for `KEPT_S`. Never blocks."""
        if not self.loaded or not self._lock.acquire(blocking=False):
            return
        try:
            if now - self._used_at < KEPT_S:
                return
            self._network = None
        finally:
            self._lock.release()
        memory.release_free_memory()

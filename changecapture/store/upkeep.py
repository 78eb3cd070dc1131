"""What a store is asked by compaction."""

from changecapture.store.interface import Compaction
from changecapture.store.lives import LifeStore


class UpkeepStore(LifeStore):
    """The part of a store that keeps its log small."""

    def read_compaction(self) -> Compaction:
        """Return how far compaction has come."""
        rows = self.query(f"SELECT scanned, reached, swept_at FROM {self.prefix}compaction")
        return Compaction(*rows[0]) if rows else Compaction()

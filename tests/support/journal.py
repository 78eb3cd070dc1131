"""A journal that remembers what it was told and writes nothing down."""

from dataclasses import dataclass, field
from typing import Any

from changecapture.sync import Received
from relay.card import Card


@dataclass
class FakeJournal:
    """See relay.journal.Journal."""

    notes: list[tuple[str, str, str, int, bool]] = field(default_factory=list)
    """(exchange, peer, direction, entries, last)."""
    steps: list[tuple[str, str, int]] = field(default_factory=list)
    """(peer, direction, position)."""
    instances: dict[str, Card] = field(default_factory=dict)
    failures: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(exchange, peer, direction, why)."""

    def note(self, exchange: str, peer: str, direction: str, **payload: Any) -> None:
        """Take a payload."""
        self.notes.append((exchange, peer, direction, payload["entries"], payload["last"]))

    def received(self, exchange: str, peer: str, received: Received, **payload: Any) -> None:
        """Take a payload that was received."""
        self.notes.append((exchange, peer, "in", received.carried, received.last))
        if received.last:
            self.steps.append((peer, "in", 0))

    def in_step(self, peer: str, direction: str, position: int = 0) -> None:
        """Take that a peer is in step."""
        self.steps.append((peer, direction, position))

    def met(self, site: str, card: Card, shape: str) -> None:
        """Take what a peer says of itself."""
        self.instances[site] = card

    def broken(self, exchange: str, peer: str, direction: str, why: str) -> None:
        """Take a failure."""
        self.failures.append((exchange, peer, direction, why))

"""A peer whose every word the test makes up, and how it comes to a site: as a batch that was pulled."""

import json
from collections.abc import Mapping
from typing import Any

from changecapture.core.change import Entry
from changecapture.core.codec import Batch, Head, encode_batch
from changecapture.core.vector import Component, Vector, digest_vector
from changecapture.sync import Received, receive
from tests.support.sites import AnySite

BEGIN = 1_700_000_000_000_000
"""Of its stamps, which follow the numbers."""


class Peer:
    """Its entries are numbered as they are made, its batches follow each other."""

    def __init__(self, site: str = "evil") -> None:
        self.site = site
        self._number = self._position = 0

    def go_on(self, entries: int) -> None:
        """Begin the next batch where one ended that was taken."""
        self._position += max(1, entries)

    def entry(
        self,
        table: str,
        key: str,
        columns: str | Mapping[str, Any],
        *,
        base: int = 12345,
        begin: int = BEGIN,
        name: tuple[str, int, int] | None = None,
    ) -> Entry:
        """Return the next entry, or one by another's name. ``base``: by itself no author saw such a row."""
        self._number += 1
        origin, epoch, number = name or (self.site, 1, self._number)
        text = columns if isinstance(columns, str) else json.dumps(columns)
        return Entry(origin, epoch, number, 1, begin + self._number, base, "all", table, key, text)

    def batch(
        self, *entries: Entry, target: Mapping[Component, int] | None = None, seen: Vector | None = None
    ) -> bytes:
        """Return the payload that brings entries. ``seen``: the context of their passes."""
        context = seen or {}
        passes = {(e.origin, e.epoch, e.pass_number): digest_vector(context) for e in entries}
        after, end = self._position, self._position + max(1, len(entries))
        head = Head(self.site, 1, {}, target or {}, after, end, end)
        return encode_batch(Batch(head, entries, passes, {digest_vector(context): context}))


def send(
    site: AnySite,
    peer: Peer,
    *entries: Entry,
    target: Mapping[Component, int] | None = None,
    seen: Vector | None = None,
) -> Received:
    """Let a site receive entries of a peer. Raises PeerError when it refuses the batch."""
    taken = receive(site.store, peer.site, peer.batch(*entries, target=target, seen=seen))
    peer.go_on(len(entries))
    return taken

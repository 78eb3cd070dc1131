"""A site that nobody has met: its entries come by hand, and raise no vector."""

import json
from typing import Any

from changecapture.apply import Applied, apply_entries
from changecapture.core.change import Entry
from changecapture.store.interface import Store
from tests.support.sites import AnySite

DIGEST = "0123456789abcdef"


def stranger(
    table: str, key: str, number: int = 1, stamp: int = 1000, seen: int = 0, **columns: Any
) -> Entry:
    """Return an entry of that site."""
    return Entry("stranger", 1, number, 1, stamp, seen, "all", table, key, json.dumps(columns))


def apply(site: AnySite, *entries: Entry, store: Store | None = None) -> Applied:
    """Apply its entries at a site, whose store may be given."""
    return apply_entries(store or site.store, entries, {("stranger", 1, 1): DIGEST}, {DIGEST: {}})

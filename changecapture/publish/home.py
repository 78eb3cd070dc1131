"""What stays at home: changes that no peer could receive, listed as parked.

A row that has become too large is in no log as it is: until its application makes it smaller it is read whole
each time, and what others write of it is kept, not shown (``apply.write.hold_present``).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from types import MappingProxyType
from typing import Any

from changecapture.core.change import (
    Captured,
    Row,
)
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.entries import dump
from changecapture.core.wire import check_text
from changecapture.publish.change import Change
from changecapture.store.interface import Store

LARGE = "large"
"""Why a row is parked that has become too large to travel."""
LARGEST_ROW = 24 * 1024 * 1024
"""Bytes of one entry's columns: more do not pass through a call of the relay."""
WIDEST = 6
"""Bytes that one character comes to at most: \\u0001, written out."""
SURELY_FITS = LARGEST_ROW // WIDEST
"""Characters that travel whatever they are."""

NOTHING: Mapping[str, Any] = MappingProxyType({})


def keep_fitting(store: Store, captured: Sequence[Captured]) -> list[Captured]:
    """Return what was captured under the key columns of today; list the rest as parked.

    The application has changed a table's key, and an installation has followed, with changes waiting.
    """
    fitting: list[Captured] = []
    refused: dict[Row, tuple[str, str]] = {}
    widths = {table_id: len(table.key_columns) for table_id, table in store.tables.items()}
    for item in captured:
        # Cheap where it can be: most keys are an integer and a uuid, with as many commas as that has.
        if (
            item.key.count(",") + 1 == widths[item.table_id]
            or len(json.loads(item.key)) == widths[item.table_id]
        ):
            fitting.append(item)
        else:
            row = Row(store.tables[item.table_id].wire, item.key[:KEY_LENGTH])
            refused[row] = ("key", "captured before the table's key columns changed: install, then reconcile")
    store.write_parked(refused)
    return fitting


def keep_home(store: Store, changes: Sequence[Change]) -> list[Change]:
    """Return the changes whose rows have a key that can travel; list the other rows as parked."""
    refused = refuse_keys(store, [change.row for change in changes])
    return [change for change in changes if change.row not in refused]


def refuse_keys(store: Store, rows: Iterable[Row]) -> set[Row]:
    """List as parked the rows whose key cannot travel, and return them."""
    refused: dict[Row, tuple[str, str]] = {}
    found: set[Row] = set()
    for row in rows:
        try:
            check_text(row.key, KEY_LENGTH)
        except ValueError as error:
            shown = row.key.replace("\0", " ")[: KEY_LENGTH - 40]
            digest = blake2b(row.key.encode(), digest_size=16).hexdigest()
            refused[Row(row.table, f"{shown} {digest}")] = ("key", f"stays here: {error}")
            found.add(row)
    store.write_parked(refused)
    return found


def read_large_whole(store: Store, changes: Iterable[Change]) -> None:
    """Have the rows that stayed here because of their size read whole."""
    rows = {change.row: change for change in changes if change.alive is not False}
    for row in store.read_parked(rows, LARGE):
        rows[row].whole = True


def measure(text: str, values: Mapping[str, Any] = NOTHING) -> int:
    """Return how many bytes a JSON text, and values beside it, are on the wire: roughly, where they are far
    below what travels."""
    size = len(text) + sum(map(_count_characters, values.values()))
    if size <= SURELY_FITS:
        return size
    return sum(len(part.encode(errors="surrogatepass")) for part in (text, dump(dict(values))))


def _count_characters(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    return sum(map(_count_characters, value.values())) if isinstance(value, dict) else 0


def keep_large(store: Store, changes: Iterable[Change]) -> list[Change]:
    """Return the changes that a peer can receive; list the rows of the others as parked."""
    kept: list[Change] = []
    refused: dict[Row, tuple[str, str]] = {}
    for change in changes:
        size = measure(change.late, change.columns)
        if size <= LARGEST_ROW:
            kept.append(change)
        else:
            refused[change.row] = (LARGE, f"stays here: {size} bytes, at most {LARGEST_ROW} travel")
    fitting = store.read_parked([change.row for change in kept], LARGE)
    store.write_parked(refused | {row: ("changed", "small enough to travel by now") for row in fitting})
    return kept

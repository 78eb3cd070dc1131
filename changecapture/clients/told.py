"""What clients are told: rows as they stand after merging."""

from collections.abc import Sequence
from typing import Any

from changecapture.clients.since import Since, load_since, name_origin
from changecapture.core.alias import read_alias
from changecapture.core.change import ALIVE, Entry, Row
from changecapture.core.clock import show_time
from changecapture.core.codec import decode_batch
from changecapture.core.merge import merge_entries
from changecapture.core.scopes import Scopes, Terms
from changecapture.core.vector import dump_vector, load_vector
from changecapture.store.interface import Store
from changecapture.sync import PullRequest, answer

MOST = 500
"""Changes in one call, either way (a call may say fewer)."""


def get_changes(store: Store, client: str, since: str, send: Scopes, limit: int = MOST) -> dict[str, Any]:
    """Return the rows that have changed since, with ``until`` and whether there is ``more``."""
    held = load_since(since)
    if held.scopes != send.dump():
        # Other modules than before: what was held back stands before the place that was reached (R12).
        held = Since(vector=held.vector, scopes=send.dump())
    request = PullRequest(
        site=name_origin(store.read_site().origin, client),
        epoch=held.epoch,
        vector=dump_vector(send.of(load_vector(held.vector))),
        after=held.after,
        end=held.end,
        limit=max(1, min(limit, MOST)),
        mark=held.mark,
        scopes=held.scopes,
    )
    batch = decode_batch(answer(store, request, Terms(send=send)).payload)
    head = batch.head
    resumed = held.end and (head.epoch, head.after, head.end) == (held.epoch, held.after, held.end)
    target = load_vector(held.target) if resumed else head.target
    vector = load_vector(held.vector)
    if head.last:
        vector = {c: max(vector.get(c, 0), target.get(c, 0)) for c in {*vector, *target}}
    until = Since(
        head.epoch,
        dump_vector(vector),
        head.position,
        0 if head.last else head.end,
        "{}" if head.last else dump_vector(target),
        head.mark,
        held.scopes,
    )
    return {
        "base_uuid": store.read_site().origin,
        "changes": _tell_rows(store, [e for e in batch.entries if _may_tell(store, e, send)]),
        "until": until.dump(),
        "more": not head.last,
    }


def _may_tell(store: Store, entry: Entry, send: Scopes) -> bool:
    """Return whether an entry is of a module that is told, by our own profile too."""
    table = store.tables_by_wire.get(entry.table)
    return table is None or table.scope in send


def _tell_rows(store: Store, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    rows: dict[Row, None] = {}
    for entry in entries:
        alias = read_alias(entry)
        rows |= {Row(alias.table, alias.low): None} if alias else {entry.row: None}
    with store.snapshot():
        names = store.read_names(rows)
        places = dict.fromkeys(names.get(row, row) for row in rows)
        members = store.read_members(places)
        known = store.read_row_entries(places)
    return [
        _tell_row(row, [entry for entry, _ in known[row]], members.get(row, [row.key]))
        for row in places
        if known.get(row) and read_alias(known[row][0][0]) is None
    ]


def _tell_row(row: Row, entries: Sequence[Entry], keys: Sequence[str]) -> dict[str, Any]:
    merged = merge_entries(entries)
    last = max(entries, key=lambda entry: entry.order)
    return {
        "table": row.table,
        "uuid": row.key,
        "also": sorted(set(keys) - {row.key}),
        "deleted": not (merged[ALIVE].value if ALIVE in merged else True),
        "changed_at": show_time(last.stamp),
        "origin": last.origin,
        "columns": {name: cell.value for name, cell in merged.items() if not name.startswith("@")},
    }

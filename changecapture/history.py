"""One row's life, over all sites: what was written where and when, what lost, what keeps it from being shown.

From what this site has: entries that were overtaken may be compacted (30 days, unless configured otherwise).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from changecapture.core.change import Name, Row
from changecapture.envelope import describe, tell
from changecapture.errors import ConfigError
from changecapture.identify import find_joined
from changecapture.store.sqlstore import SqlStore

WHAT = {"c": "created", "u": "changed", "d": "deleted"}


@dataclass(frozen=True, slots=True)
class Happening:
    """``at``: microseconds since 1970 UTC, by the clock of the site where it happened. ``site``: its name,
    or its origin where that is not known. ``values``: what was written, canonical. ``applied``: whether it is
    shown here."""

    at: int
    what: str
    site: str
    origin: str
    entry: str
    detail: str
    values: dict[str, Any]
    applied: bool = True


@dataclass(frozen=True, slots=True)
class Life:
    """``key``: the one that names the row, of all ``keys`` that are it. ``state``: how it stands here.
    ``happenings``: the latest last."""

    table: str
    key: str
    keys: list[str]
    state: str
    happenings: list[Happening]


def read_history(store: SqlStore, table: str, key: str) -> Life:
    """Return a row's life; raise ConfigError when nothing is known of it."""
    given = Row(table.lower(), key)
    row = find_joined(store, [given]).get(given, given)
    logged = store.read_row_entries([row]).get(row, [])
    if not logged:
        raise ConfigError(
            f"nothing is known of a row of {table} under {key}",
            mend="see changecapture log URL --table NAME for keys that are",
        )
    names = read_names(store)
    entries = [entry for entry, _ in logged]
    found: list[Happening] = []
    for entry, applied in logged:
        told = tell(0, entry, applied, entries)
        detail = describe(told.columns) + ("" if applied else " (not shown here)")
        site = names.get(entry.origin, entry.origin)
        what = WHAT[told.operation]
        name = str(entry.name)
        found.append(Happening(entry.stamp, what, site, entry.origin, name, detail, told.columns, applied))
    keys = sorted({entry.key for entry in entries} | {row.key})
    found += _read_conflicts(store, row.table, keys, names)
    found.sort(key=lambda happening: (happening.at, happening.entry))
    return Life(row.table, row.key, keys, describe_state(store, row), found)


def read_names(store: SqlStore) -> dict[str, str]:
    """Return what sites are called, by their ids."""
    peers = [known.instance for known in store.read_instances()]
    own = store.read_site().origin
    return {peer.base_uuid: peer.name for peer in peers if peer.name} | {own: "this site"}


def _read_conflicts(
    store: SqlStore, table: str, keys: list[str], names: dict[str, str]
) -> Iterator[Happening]:
    for found in store.read_conflicts_of(Row(table, key) for key in keys):
        origin, winner = (Name.from_text(name).origin for name in (found.lost_name, found.kept_name))
        settled = found.resolved_at is not None
        state = "resolved" if settled else f"open: changecapture conflicts show {found.id}"
        lost, kept = f"{found.column}={found.lost_value}", found.kept_value
        detail = f"{lost} lost to {kept} of {names.get(winner, winner)} ({state})"
        values = {found.column: json.loads(found.lost_value)}
        site = names.get(origin, origin)
        yield Happening(found.found_at, "conflict", site, origin, found.lost_name, detail, values)


def describe_state(store: SqlStore, row: Row) -> str:
    """Return how a row stands here: shown, deleted, parked or carried, and why."""
    for parked in store.read_parked_of([row]):
        return f"parked: {parked.reason}: {parked.detail}"
    if store.mapping is not None and row.table in store.mapping.common_tables:
        version = store.read_versions([row]).get(row)
        return "shown by the mapping" if version is not None and version.alive else "deleted"
    if row.table not in store.tables_by_wire:
        return "carried: this site does not have the table"
    version = store.read_versions([row]).get(row)
    if version is None or not version.alive:
        return "deleted"
    waiting = sorted(store.read_waiting([row]).get(row, ()))
    return f"shown, but {', '.join(waiting)} waits for its row" if waiting else "shown"

"""One row's life, over all sites: what was written where and when, what lost, what keeps it from being shown.

From what this site has: entries that were overtaken may be compacted (30 days, unless configured otherwise).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from changecapture.bridge import crossing_tables
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
        raise ConfigError(f"nothing is known of a row of {table} under {key}", mend=_find_mend(store, given))
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


def _find_mend(store: SqlStore, row: Row) -> str:
    """Return where to look for a row of which nothing is known by this name."""
    if row.table in crossing_tables(store) and store.mapping is not None:
        for record in store.mapping.records:
            if any(part.table == row.table for part in record.local):
                common = record.common[0].table
                return f"{row.table} travels as {common}: changecapture history URL {common} KEY"
    return "see changecapture log URL --table NAME for keys that are"


def read_names(store: SqlStore) -> dict[str, str]:
    """Return what sites are called, by their ids; ids alone where nobody has said."""
    peers = [known.instance for known in store.read_instances()]
    own = store.read_site().origin
    return {peer.base_uuid: peer.name for peer in peers if peer.name} | {own: "this site"}


def find_origin(names: Mapping[str, str], site: str) -> str:
    """Return the id of a site that is named by its name, "this site", or its id."""
    found = [origin for origin, name in names.items() if name == site]
    if len(found) > 1:
        raise ConfigError(f"several sites are called {site}", mend=f"name it by its id: {', '.join(found)}")
    return found[0] if found else site


def _read_conflicts(
    store: SqlStore, table: str, keys: list[str], names: dict[str, str]
) -> Iterator[Happening]:
    for key in keys:
        rows = store.query(
            "SELECT id, column_name, kept_value, kept_name, lost_value, lost_name, found_at, resolved_at "
            f"FROM {store.prefix}conflict WHERE table_name = %s AND row_key = %s ORDER BY id",
            (table, key),
        )
        for id_, column, kept, kept_name, lost, lost_name, found_at, resolved_at in rows:
            origin = Name.from_text(lost_name).origin
            winner = names.get(Name.from_text(kept_name).origin, Name.from_text(kept_name).origin)
            state = "resolved" if resolved_at is not None else f"open: changecapture conflicts show {id_}"
            detail = f"{column}={lost} lost to {kept} of {winner} ({state})"
            site = names.get(origin, origin)
            values = {column: json.loads(lost)}
            yield Happening(int(found_at), "conflict", site, origin, lost_name, detail, values)


def describe_state(store: SqlStore, row: Row) -> str:
    """Return how a row stands here: shown, deleted, parked or carried, and why."""
    parked = store.query(
        f"SELECT reason, detail FROM {store.prefix}parked WHERE table_name = %s AND row_key = %s", tuple(row)
    )
    if parked:
        return f"parked: {parked[0][0]}: {parked[0][1]}"
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

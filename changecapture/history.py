"""One row's life, over all sites: what was written where and when, what lost, what keeps it from being shown.

From what this site has: entries that were overtaken may be compacted (30 days, unless configured otherwise).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from changecapture.bridge import find_common_rows, local_parts
from changecapture.core.change import Entry, Name, Row
from changecapture.envelope import describe, tell
from changecapture.errors import ConfigError
from changecapture.identify import find_joined
from changecapture.mapping.narrow import narrow
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
    """Return a row's life; raise ConfigError when nothing is known of it.

    Of a row that travels as others (a mapping) it is the life of those.
    """
    given = Row(table.lower(), key)
    row = find_joined(store, [given]).get(given, given)
    logged = store.read_row_entries([row])
    if not logged:
        found = _find_mapped(store, row)
        logged = store.read_row_entries(found)
        row = next((other for other in found if other in logged), row)
    if not logged:
        raise ConfigError(
            f"nothing is known of a row of {table} under {key}",
            mend="see changecapture log URL --table NAME for keys that are",
        )
    names = read_names(store)
    happenings = [
        happening
        for other, entries in logged.items()
        for happening in _tell_row(store, row, other, entries, names)
    ]
    happenings.sort(key=lambda happening: (happening.at, happening.entry))
    keys = sorted({entry.key for entry, _ in logged.get(row, ())} | {row.key})
    state = describe_state(store, row)
    if row.table != given.table:
        state += f"; {given.table} travels as {', '.join(sorted({other.table for other in logged}))}"
    return Life(row.table, row.key, keys, state, happenings)


def _find_mapped(store: SqlStore, row: Row) -> list[Row]:
    """Return the common rows that a row of the application travels as, the record's own first."""
    lens = store.mapping
    found: list[Row] = []
    if lens is None:
        return found
    for subject, parts in local_parts(lens, row).items():
        rows = find_common_rows(store, {subject: narrow(lens.records[subject.kind], frozenset(parts))})
        found += (other for other in rows[subject] if other not in found)
    return found


def _tell_row(
    store: SqlStore,
    asked: Row,
    row: Row,
    logged: Sequence[tuple[Entry, bool]],
    names: dict[str, str],
) -> Iterator[Happening]:
    """Yield what happened to a row; to another one than was asked for, with its table."""
    entries = [entry for entry, _ in logged]
    where = "" if row.table == asked.table else f"{row.table}: "
    for entry, applied in logged:
        told = tell(0, entry, applied, entries)
        detail = where + describe(told.columns) + ("" if applied else " (not shown here)")
        site = names.get(entry.origin, entry.origin)
        what = WHAT[told.operation]
        name = str(entry.name)
        yield Happening(entry.stamp, what, site, entry.origin, name, detail, told.columns, applied)
    yield from _read_conflicts(store, row.table, sorted({entry.key for entry in entries} | {row.key}), names)


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

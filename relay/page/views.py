"""What the page shows, as data: read from a store in one go, joined with what the relay knows.

Times are microseconds since 1970 UTC by the database's clock, ``now`` too.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from changecapture.apply import find_blocking
from changecapture.core.change import ALIVE, Row
from changecapture.core.merge import merge_entries
from changecapture.identify import find_joined
from changecapture.review import Lost, ParkedRow, find_parked, read_conflicts, read_parked_rows
from changecapture.status import Status, read_status
from changecapture.store.sqlstore import SqlStore

HOUR = 3_600_000_000
HOURS = 24
FOUND_LIMIT = 50
SHOWN_LIMIT = 100
"""Of conflicts and of parked rows on one page."""
LABEL_COLUMNS = 3
SKEW_US = 5_000_000
SILENT_US = HOUR
STALE_US = 60_000_000
FRESH_US = 120_000_000
"""A site that only calls us was met so lately when it is there."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was exchanged with one peer in the last day: when last, and what failed last."""

    received_at: int | None = None
    sent_at: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at the database. ``flow``: (entries in, entries out) of each of the last 24 hours."""

    status: Status
    flow: tuple[tuple[int, int], ...]
    traffic: Mapping[str, Traffic]
    to_come: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PeerView:
    """A paired device. ``state``: "speaking", "silent" or "unmet"; ``skew``: clock ahead of ours, us."""

    device: str
    name: str
    state: str
    paired_at: str
    addresses: tuple[str, ...]
    send: str
    accept: str
    introducer: bool
    introduced_by: str | None
    contact_at: int | None = None
    skew: int | None = None
    skew_error: int | None = None
    to_come: int = 0
    received: int = 0
    traffic: Traffic = Traffic()
    owner: str = ""
    contact: str = ""
    alike: bool = True


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is not well. ``what`` names the text of the template; ``bad``: capture or sync suffers."""

    what: str
    bad: bool = False
    count: int = 0
    name: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class TableView:
    """A table: rows that the changelog knows, alive or deleted, its entries, parked rows, conflicts."""

    name: str
    module: str
    alive: int = 0
    deleted: int = 0
    entries: int = 0
    parked: int = 0
    conflicts: int = 0


@dataclass(frozen=True, slots=True)
class ConflictView:
    """A conflict, with what a person calls the row and the two sites."""

    lost: Lost
    label: str
    kept_by: str
    lost_by: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A column of a parked row beside that of the row which has its place."""

    column: str
    parked: Any
    shown: Any


@dataclass(frozen=True, slots=True)
class ParkedView:
    """A parked row; ``blocking``: keys of the rows that have its place."""

    parked: ParkedRow
    label: str
    blocking: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A row that a search has found."""

    table: str
    key: str
    label: str


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a row's life."""

    at: int
    site: str
    name: str
    applied: bool
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Life:
    """A row's life, the latest event first. ``state``: "shown", "deleted", "parked" or "carried"."""

    table: str
    key: str
    state: str
    label: str
    events: tuple[Event, ...] = field(default=())


def read_sight(store: SqlStore) -> Sight:
    """Return how the site stands."""
    status = read_status(store)
    rows = store.query(
        f"SELECT peer, direction, entries, ended_at, outcome FROM {store.prefix}exchange_log "
        "WHERE ended_at > %s ORDER BY id",
        (status.now - HOURS * HOUR,),
    )
    flow = [[0, 0] for _ in range(HOURS)]
    traffic: dict[str, Traffic] = {}
    for peer, direction, entries, ended_at, outcome in rows:
        hour = min(HOURS - 1, max(0, (status.now - int(ended_at)) // HOUR))
        flow[HOURS - 1 - hour][direction != "in"] += int(entries)
        traffic[peer] = _follow(traffic.get(peer, Traffic()), direction, int(entries), int(ended_at), outcome)
    return Sight(status, tuple((i, o) for i, o in flow), traffic, _read_to_come(store))


def _follow(before: Traffic, direction: str, entries: int, ended_at: int, outcome: str) -> Traffic:
    received_at = ended_at if direction == "in" and entries else before.received_at
    sent_at = ended_at if direction != "in" and entries else before.sent_at
    return Traffic(received_at, sent_at, "" if outcome == "done" else str(outcome))


def _read_to_come(store: SqlStore) -> dict[str, int]:
    """Return how many entries a pull that is under way has still to fetch, of each peer."""
    found: dict[str, int] = {}
    for name, position, end in store.query(f"SELECT site, position, end_position FROM {store.prefix}peer"):
        site = str(name).partition("/")[0]
        found[site] = found.get(site, 0) + max(0, int(end) - int(position)) * (int(end) > 0)
    return found


def view_peers(
    sight: Sight, listed: Iterable[Mapping[str, Any]], speaking: Collection[str]
) -> list[PeerView]:
    """Return the paired devices, as the order ``peers`` lists them, with what is known of their sites."""
    return [_view_peer(sight, peer, speaking) for peer in listed]


def _view_peer(sight: Sight, peer: Mapping[str, Any], speaking: Collection[str]) -> PeerView:
    sites = list(peer["sites"])
    site = sites[-1] if sites else ""
    met = next((p for p in sight.status.peers if p.site == site), None)
    said = next((i for i in sight.status.instances if i.base_uuid == site), None)
    traffic = sight.traffic.get(site, Traffic())
    times = [met.contact_at if met else 0, traffic.received_at or 0, traffic.sent_at or 0]
    contact_at = max(times) or None
    fresh = contact_at is not None and sight.status.now - contact_at < FRESH_US
    state = "speaking" if site in speaking or fresh else "silent" if contact_at else "unmet"
    return PeerView(
        device=peer["device"],
        name=peer["name"],
        state=state,
        paired_at=peer["paired_at"],
        addresses=tuple(peer.get("addresses", ())),
        send=peer["send"],
        accept=peer["accept"],
        introducer=bool(peer["introducer"]),
        introduced_by=peer["introduced_by"],
        contact_at=contact_at,
        skew=met.clock_offset if met else None,
        skew_error=met.clock_error if met else None,
        to_come=sight.to_come.get(site, 0),
        received=met.received if met else 0,
        traffic=traffic,
        owner=said.owner if said else "",
        contact=said.contact if said else "",
        alike=said.alike if said else True,
    )


def find_troubles(status: Status, peers: Collection[PeerView]) -> list[Trouble]:
    """Return what is not well, the worst first; nothing: all is well."""
    found = [Trouble("missed", bad=True, name=missed.table, at=missed.last_at) for missed in status.missed]
    if status.copied_at is not None:
        found.append(Trouble("copied", bad=True, at=status.copied_at))
    oldest = status.oldest_captured_at
    if oldest is not None and status.now - oldest > STALE_US:
        found.append(Trouble("unpublished", bad=True, count=status.captured, at=oldest))
    if not status.finished:
        found.append(Trouble("unfinished", count=status.to_backfill))
    if status.conflicts:
        found.append(Trouble("conflicts", count=status.conflicts))
    if status.parked:
        found.append(Trouble("parked", count=sum(status.parked.values())))
    if not peers:
        found.append(Trouble("alone"))
    for peer in peers:
        found += _find_peer_troubles(status.now, peer)
    return sorted(found, key=lambda trouble: not trouble.bad)


def _find_peer_troubles(now: int, peer: PeerView) -> Iterable[Trouble]:
    if peer.state == "unmet":
        yield Trouble("unmet", name=peer.name)
    if peer.state == "silent" and now - (peer.contact_at or 0) > SILENT_US:
        yield Trouble("silent", name=peer.name, at=peer.contact_at or 0)
    if peer.skew is not None and abs(peer.skew) > SKEW_US + (peer.skew_error or 0):
        yield Trouble("skew", name=peer.name, count=abs(peer.skew) // 1_000_000)
    if not peer.alike:
        yield Trouble("unlike", name=peer.name)


def read_tables(store: SqlStore) -> list[TableView]:
    """Return the synced tables with their counts."""
    store.load_tables()
    counts: dict[str, dict[str, int]] = {}
    for what, query in (
        ("alive", "row_version WHERE alive = 1"),
        ("deleted", "row_version WHERE alive = 0"),
        ("entries", "changelog"),
        ("parked", "parked"),
        ("conflicts", "conflict WHERE resolved_at IS NULL"),
    ):
        rows = store.query(f"SELECT table_name, count(*) FROM {store.prefix}{query} GROUP BY table_name")
        for name, count in rows:
            counts.setdefault(str(name), {})[what] = int(count)
    return [
        TableView(table.name, table.scope, **counts.get(wire, {}))
        for wire, table in sorted(store.tables_by_wire.items())
    ]


def view_conflicts(store: SqlStore) -> list[ConflictView]:
    """Return the first open conflicts."""
    found = read_conflicts(store)[:SHOWN_LIMIT]
    labels = label_rows(store, [Row(lost.table, lost.key) for lost in found])
    names = read_names(store)
    return [
        ConflictView(
            lost,
            labels.get(Row(lost.table, lost.key), ""),
            name_author(names, lost.kept_name),
            name_author(names, lost.lost_name),
        )
        for lost in found
    ]


def view_parked(store: SqlStore) -> list[ParkedView]:
    """Return the first parked rows, each beside the row that has its place, where one has."""
    found = read_parked_rows(store)[:SHOWN_LIMIT]
    labels = label_rows(store, [Row(parked.table, parked.key) for parked in found])
    return [_view_parked(store, parked, labels.get(Row(parked.table, parked.key), "")) for parked in found]


def _view_parked(store: SqlStore, parked: ParkedRow, label: str) -> ParkedView:
    row = Row(parked.table, parked.key)
    if row.table not in store.tables_by_wire:
        return ParkedView(parked, label)
    blocking = sorted(find_blocking(store, row))
    mine: dict[str, Any] = {}
    for entry in find_parked(store, row)[1]:
        mine |= entry["columns"]
    values = read_values(store, [row, *(Row(row.table, key) for key in blocking[:1])])
    mine = {**values.get(row, {}), **mine}
    shown = values.get(Row(row.table, blocking[0]), {}) if blocking else {}
    columns = [column for column in sorted({*mine, *shown}) if not column.startswith("@")]
    pairs = (Pair(column, mine.get(column), shown.get(column)) for column in columns)
    return ParkedView(
        parked, label, tuple(blocking), tuple(p for p in pairs if (p.parked, p.shown) != (None,) * 2)
    )


def search_rows(store: SqlStore, text: str) -> list[Found]:
    """Return rows whose key or whose values hold a text, in whatever case."""
    if not text:
        return []
    escaped = text.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
    in_json = json.dumps(escaped, ensure_ascii=False)[1:-1]
    columns = '"columns"' if store.prefix.endswith(".") else "`columns`"
    rows = store.query(
        f"SELECT DISTINCT table_name, row_key FROM {store.prefix}changelog "
        f"WHERE lower(row_key) LIKE %s ESCAPE '!' OR lower({columns}) LIKE %s ESCAPE '!' "
        f"ORDER BY table_name, row_key LIMIT {FOUND_LIMIT}",
        (f"%{escaped}%", f"%{in_json}%"),
    )
    found = [Row(str(table), str(key)) for table, key in rows]
    labels = label_rows(store, found)
    return [Found(row.table, row.key, labels.get(row, "")) for row in found]


def read_life(store: SqlStore, row: Row) -> Life | None:
    """Return a row's life over all sites, as far as entries were not compacted; None when it is unknown."""
    row = find_joined(store, [row]).get(row, row)
    logged = store.read_row_entries([row]).get(row, [])
    if not logged:
        return None
    names = read_names(store)
    events = [
        Event(
            entry.stamp,
            names.get(entry.origin, entry.origin),
            str(entry.name),
            applied,
            json.loads(entry.columns),
        )
        for entry, applied in logged
    ]
    events.sort(key=lambda event: (event.at, event.name), reverse=True)
    parked = store.query(
        f"SELECT 1 FROM {store.prefix}parked WHERE table_name = %s AND row_key = %s", tuple(row)
    )
    version = store.read_versions([row]).get(row)
    alive = version is not None and version.alive
    state = "parked" if parked else "shown" if alive else "deleted"
    if row.table not in store.tables_by_wire:
        state = "carried"
    return Life(row.table, row.key, state, label_rows(store, [row]).get(row, ""), tuple(events))


def read_values(store: SqlStore, rows: list[Row]) -> dict[Row, dict[str, Any]]:
    """Return what is written in rows, merged, whether it is shown or parked."""
    found: dict[Row, dict[str, Any]] = {}
    joined = find_joined(store, rows)
    logged = store.read_row_entries([joined.get(row, row) for row in rows])
    for row in rows:
        entries = [entry for entry, _ in logged.get(joined.get(row, row), [])]
        found[row] = {column: cell.value for column, cell in merge_entries(entries).items()}
    return found


def label_rows(store: SqlStore, rows: list[Row]) -> dict[Row, str]:
    """Return what a person would call each row: its columns that are names, else its first texts."""
    return {row: _label(values) for row, values in read_values(store, rows).items()}


def _label(values: Mapping[str, Any]) -> str:
    texts = {
        column: value
        for column, value in values.items()
        if isinstance(value, str) and value and column != ALIVE and "uuid" not in column
    }
    names = [value for column, value in sorted(texts.items()) if "name" in column]
    return " ".join((names or list(texts.values()))[:LABEL_COLUMNS])[:120]


def read_names(store: SqlStore) -> dict[str, str]:
    """Return what sites are called, by their ids."""
    return {known.instance.base_uuid: known.instance.name for known in store.read_instances()}


def name_author(names: Mapping[str, str], entry: str) -> str:
    """Return what the site is called that wrote an entry: its name, the id where that is not known."""
    origin = entry.partition("/")[0]
    return names.get(origin, origin[:8])

"""Aliases that are heard or made: keys become one row, in what is known here (core.alias, R13).

The rows themselves are shown anew by who calls: what stood under several keys is folded into one (fold.py).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from changecapture.author import Author
from changecapture.core.alias import ALIAS, Alias, dump_alias, name_alias, read_alias, unite
from changecapture.core.change import Entry, Row, Version, add_names
from changecapture.core.clock import next_stamp
from changecapture.core.table import SyncedTable
from changecapture.identify import find_joined, local_reference
from changecapture.store.interface import Store

CANNOT = {
    "natural": "its own column names a row of {table}, and what refers to it does so by that name",
    "composite": "what a row of {table} is made of names it",
}

UNHEARD = Version(0, "", True, 0)
"""What is known of an alias before anyone has said it."""


def why_apart(store: Store, table: SyncedTable) -> str | None:
    """Return why rows of a table cannot be joined, None when they can: another key must be writable in
    the place of a row's own."""
    if table.identity.kind in CANNOT:
        return CANNOT[table.identity.kind].format(table=table.name)
    for other in store.tables.values():
        for column in (*other.columns, *other.identity.columns):
            if column.reference and column.reference.table == table.name and column.reference.by_key:
                return f"{other.name}.{column.name} refers to its rows by their names"
    return None


def split_aliases(store: Store, entries: Iterable[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return the entries that join keys, and the others."""
    aliases: list[Entry] = []
    others: list[Entry] = []
    for entry in entries:
        alias = read_alias(entry) if entry.table == ALIAS else None
        table = None if alias is None else store.tables_by_wire.get(alias.table)
        heard = alias is not None and (table is None or why_apart(store, table) is None)
        (aliases if heard else others).append(entry)
    return aliases, others


def record_aliases(store: Store, entries: Sequence[Entry]) -> set[Row]:
    """Append entries that join keys, and join them; return the rows, by their names, to be shown anew."""
    store.append_entries(entries, applied=True)
    return merge_aliases(store, entries)


def merge_aliases(store: Store, entries: Sequence[Entry]) -> set[Row]:
    """Join the keys of entries that are in the log; return the rows, by their names, to be shown anew."""
    rows = {entry.row for entry in entries}
    known = store.read_versions(rows)
    versions = dict(known)
    for entry in entries:
        before = versions.get(entry.row, UNHEARD)
        last = max((before.stamp, before.origin), (entry.stamp, entry.origin))
        versions[entry.row] = Version(*last, True, add_names(before.seen, [entry]))
    store.write_versions(versions, known)
    return join_keys(store, [alias for entry in entries if (alias := read_alias(entry)) is not None])


def publish_aliases(store: Store, aliases: Iterable[Alias]) -> set[Row]:
    """Say, as a pass of this site in the transaction that is open, that keys are one row, and join them;
    return the rows, by their names, to be shown anew. What is one thing with such a row is joined as well."""
    wanted = {
        Alias(name, alias.low, alias.high): table.scope
        for alias in aliases
        for name in (alias.table, *_kin_alike(store, alias))
        if (table := store.tables_by_wire.get(name)) is not None
    }
    known, now = store.read_versions([_row(alias) for alias in wanted]), store.read_clock()
    author = Author(store)
    for alias, scope in wanted.items():
        before = known.get(_row(alias), UNHEARD)
        stamp = next_stamp(now, before.stamp)
        author.write(_row(alias), scope, dump_alias(alias), stamp=stamp, base=before.seen)
    author.keep_names()
    joined = record_aliases(store, author.entries)
    author.claim()
    return joined


def _row(alias: Alias) -> Row:
    return Row(ALIAS, name_alias(alias))


def _kin_alike(store: Store, alias: Alias) -> list[str]:
    """Return the tables that have a row of either key that is one thing with the row here."""
    kin = store.tables_by_wire[alias.table].kin
    rows = [Row(name, key) for name in kin for key in (alias.low, alias.high)]
    return sorted({row.table for row in store.read_versions(rows)})


def join_keys(store: Store, aliases: Iterable[Alias]) -> set[Row]:
    """Make one row of the keys of each alias; return the rows, by their names."""
    pairs: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for alias in aliases:
        pairs[alias.table].append((alias.low, alias.high))
    joined: set[Row] = set()
    for table, wanted in pairs.items():
        rows = [Row(table, key) for pair in wanted for key in pair]
        names = store.read_names(rows)
        members = store.read_members({*names.values()})
        before = {key: row.key for row, keys in members.items() for key in keys}
        named = unite(before, wanted)
        joined |= _rename(store, table, {k: n for k, n in named.items() if before.get(k) != n})
    # A row whose key is made of two that were joined has had a name in between.
    names = find_joined(store, joined)
    return {names.get(row, row) for row in joined}


def _rename(store: Store, wire: str, names: Mapping[str, str]) -> set[Row]:
    """Give the rows of these keys the names, and the rows whose keys are made of them; return all by name."""
    if not names:
        return set()
    store.write_names(wire, names)
    own = {Row(wire, key): Row(wire, name) for key, name in names.items()}
    store.unite_rows({**own, **{row: row for row in own.values()}})
    joined = set(own.values())
    table = store.tables_by_wire.get(wire)
    for other in store.tables_by_wire.values():
        if table is not None and _is_made_of(other, table):
            joined |= note_joined(store, store.find_made_of(other.wire, names))
    return joined


def note_joined(store: Store, rows: Iterable[Row]) -> set[Row]:
    """Keep by which name a row goes whose key is made of a joined one; return those that were not so kept."""
    found = find_joined(store, rows)
    known = store.read_names(found)
    made: dict[str, dict[str, str]] = defaultdict(dict)
    for row, name in found.items():
        if known.get(row) != name:
            made[row.table].update({row.key: name.key, name.key: name.key})
    return {row for wire, names in made.items() for row in _rename(store, wire, names)}


def _is_made_of(table: SyncedTable, part: SyncedTable) -> bool:
    references = [local_reference(column.reference) for column in table.identity.columns]
    return table.identity.kind == "composite" and part.name in {ref[0] for ref in references if ref}

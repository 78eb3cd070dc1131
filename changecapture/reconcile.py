"""Reconcile: what no trigger saw, found by comparing the tables with what the log says they show.

TRUNCATE on MySQL, rollbacks of MyISAM, writes while triggers were off or while a table had changed and was
not installed again. What is found is written to the log as changes of this site, made now: the time at which
they were really made is nowhere to be read. A row that was never published is as old as it says (backfill).

In batches. Each takes the writers' lock, publishes what is captured and compares in one snapshot, so that
what the application does meanwhile is either captured or not there yet. Parked rows, and references that
wait, are not what their tables lack; values that a column cannot hold exactly are not differences.
A pass that was interrupted may be started again: what is found is in the log, and then is no difference.
A row that raises what nobody foresaw is noted in ``missed``, and the others are compared (``faults``).
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

from changecapture.anchors import read_anchors
from changecapture.apply import drain
from changecapture.apply.localise import locate
from changecapture.bridge import Subject, find_changes, keep_crossed
from changecapture.core import values
from changecapture.core.change import UPDATE, Row, Version
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.merge import merge_entries
from changecapture.core.pages import KEY, walk
from changecapture.core.table import SyncedTable
from changecapture.errors import ConfigError, RetryLater
from changecapture.faults import explain, isolate
from changecapture.identify import name_rows
from changecapture.publish import PASS_LIMIT, publish_captured
from changecapture.publish.append import append_changes
from changecapture.publish.change import Change
from changecapture.publish.crossing import changes_of
from changecapture.publish.late import read_late
from changecapture.publish.whole import read_whole, translate
from changecapture.store.sqlstore import SqlStore

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much in all."""
T = TypeVar("T")
BATCH = 1000
"""Rows compared under one lock."""
ATTEMPTS = 100
"""Snapshots that may find the application to have written more than a pass since the last publish."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was found in a table: rows that came, rows that changed, rows that went unseen; and how many
    could not be compared, and are noted in ``missed``."""

    table: str
    appeared: int = 0
    changed: int = 0
    vanished: int = 0
    set_aside: int = 0

    @property
    def total(self) -> int:
        """Return how many rows were concerned."""
        return self.appeared + self.changed + self.vanished


class _OnlyLooked(Exception):
    """Ends a batch of which nothing is to be kept."""


def reconcile(
    store: SqlStore, names: Sequence[str] = (), progress: Progress | None = None, *, look: bool = False
) -> list[Found]:
    """Bring the log in step with the tables of these names, with all unless some are named; ``look``: only
    find what would be.

    Raises ConfigError for a table that is not synced.
    """
    store.refresh_tables()
    tables = _find_tables(store, names)
    missed = store.last_missed()
    found: dict[str, Found] = {table.name: Found(table.name) for table in tables}
    mapped = store.mapping.local_tables if store.mapping is not None else ()
    steps = [(_compare_present, table) for table in tables if table.wire not in mapped]
    # Children first: a peer then deletes them before their parents.
    steps += [(_find_vanished, table) for table in reversed(tables) if table.wire not in mapped]
    anchors = {record.anchor.table for record in store.mapping.records} if store.mapping is not None else ()
    steps += [(compare_records, t) for t in tables if t.wire in (mapped if names else anchors)]
    for done, (step, table) in enumerate(steps):
        if progress is not None:
            progress("tables reconciled", done, len(steps))
        for batch in step(store, table, look):
            before = found[table.name]
            found[table.name] = Found(
                table.name,
                before.appeared + batch.appeared,
                before.changed + batch.changed,
                before.vanished + batch.vanished,
                before.set_aside + batch.set_aside,
            )
    if not look:
        drain(store)
        for name in names or (None,):
            store.forget_missed(missed, name)
    if progress is not None:
        progress("tables reconciled", len(steps), len(steps))
    return list(found.values())


def _find_tables(store: SqlStore, names: Sequence[str]) -> list[SyncedTable]:
    """Return the tables, parents first."""
    for name in names:
        if name not in store.tables_by_name:
            raise ConfigError(f"{name} is not synced", mend="see: changecapture plan URL")
    wanted = [store.tables_by_name[name] for name in names or store.tables_by_name]
    return sorted(wanted, key=lambda table: store.ranks[table.name])


@contextmanager
def _in_step(store: SqlStore) -> Iterator[None]:
    """Give a snapshot in which nothing is captured that is not published."""
    with store.lock():
        for _ in range(ATTEMPTS):
            drain(store)
            with store.snapshot():
                captured = store.read_captured(PASS_LIMIT)
                if captured:
                    publish_captured(store, captured)
                if len(captured) < PASS_LIMIT:
                    yield
                    return
    raise RetryLater("the application writes faster than is published", mend="reconcile at a quieter time")


def _compare_present(store: SqlStore, table: SyncedTable, look: bool) -> Iterator[Found]:
    """Compare the rows that are there, in order of their locator."""
    for texts in walk(partial(store.read_local_keys_after, table), str, None, BATCH):
        yield from _apart(store, table, texts, _compare_rows, look)


def _apart(
    store: SqlStore,
    table: SyncedTable,
    items: Sequence[T],
    compare: Callable[[SqlStore, SyncedTable, Sequence[T]], Found],
    look: bool,
) -> list[Found]:
    """Compare items of a table in one step, or in several where one raises: that one is noted."""

    def act(part: Sequence[T]) -> Found:
        found = Found(table.name)
        with suppress(_OnlyLooked), _in_step(store):
            found = compare(store, table, part)
            if look:
                raise _OnlyLooked
        return found

    def set_aside(item: T, error: Exception) -> Found:
        if look:
            return Found(table.name, set_aside=1)
        with store.snapshot():
            why = f"{str(item)[:KEY_LENGTH]} was not compared: {': '.join(explain(error))}"
            store.write_missed(table.name, UPDATE, why)
        return Found(table.name, set_aside=1)

    return isolate(items, act, set_aside)


def _compare_rows(store: SqlStore, table: SyncedTable, texts: Sequence[str]) -> Found:
    rows = {Row(table.wire, key): text for text, key in name_rows(store, table, texts).items()}
    versions = store.read_versions(rows)
    parked = store.read_parked(rows)
    fresh = [text for row, text in rows.items() if row not in versions and row not in parked]
    store.capture_rows(table, fresh)
    now = store.read_clock()
    shown = [
        Change(table, row, rows[row], version, whole=True, alive=True, captured_at=now)
        for row, version in versions.items()
        if row not in parked
    ]
    read_late(store, shown)
    came = [_revive(change) for change in shown if change.alive and not _lives(change.version)]
    went = [
        Change(table, change.row, change.local_key, change.version, alive=False, captured_at=now)
        for change in shown
        if not change.alive and _lives(change.version)
    ]
    differ = _find_differences(store, table, [c for c in shown if c.alive and _lives(c.version)])
    read_late(store, came)
    append_changes(store, [*came, *went, *differ])
    return Found(table.name, appeared=len(fresh) + len(came), changed=len(differ), vanished=len(went))


def _lives(version: Version | None) -> bool:
    return version is not None and version.alive


def _revive(change: Change) -> Change:
    return replace(change, whole=True, alive=True, columns={}, late="{}")


def _find_differences(store: SqlStore, table: SyncedTable, shown: Sequence[Change]) -> list[Change]:
    """Return changes that write what is shown, and is not what the log says."""
    translate(store, shown)
    rows = [change.row for change in shown]
    logged, waiting = store.read_row_entries(rows), store.read_waiting(rows)
    kinds = {column.wire: (column.kind, column.type) for column in table.columns}
    found: list[Change] = []
    for change in shown:
        merged = merge_entries(entry for entry, _ in logged.get(change.row, ()))
        now = {**json.loads(change.late), **change.columns}
        differing = {
            wire: value
            for wire, value in now.items()
            if wire not in waiting.get(change.row, ())
            and not same(*kinds[wire], merged[wire].value if wire in merged else None, value)
        }
        if differing:
            found.append(replace(change, columns={}, late=values.dump(differing)))
    return found


def same(kind: str, type_: str, logged: Any, shown: Any) -> bool:
    """Return whether a column that was given the one value can show the other."""
    if logged is None or shown is None:
        return logged is shown
    if kind == "json" and isinstance(logged, str) and isinstance(shown, str):
        return bool(_parse(logged) == _parse(shown))
    if kind == "text" and isinstance(logged, str) and isinstance(shown, str):
        return logged.rstrip(" ") == shown.rstrip(" ")  # char(n) has none, or is full of them
    if values.equal(kind, logged, shown):
        return True
    return values.rounds_to(kind, type_, logged, shown)


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _find_vanished(store: SqlStore, table: SyncedTable, look: bool) -> Iterator[Found]:
    """Look for the rows that live, in order of their keys, and are not there."""
    for rows in walk(partial(store.read_alive_after, table.wire), KEY, "", BATCH):
        yield from _apart(store, table, rows, _record_vanished, look)


def _record_vanished(store: SqlStore, table: SyncedTable, rows: Sequence[Row]) -> Found:
    known = {row: version for row, version in store.read_versions(rows).items() if version.alive}
    places = locate(store, table, [row.key for row in known], lock=False)
    there = store.find_rows(table, places)
    gone = [row for row in known if row.key not in there]
    parked = store.read_parked(gone)
    now = store.read_clock()
    changes: Iterable[Change] = [
        Change(table, row, "", known[row], alive=False, captured_at=now) for row in gone if row not in parked
    ]
    append_changes(store, changes)
    return Found(table.name, vanished=len(gone) - len(parked))


def compare_records(store: SqlStore, table: SyncedTable, look: bool) -> Iterator[Found]:
    """Compare the records of a mapping that have rows in a table: those that are there, those that were.

    Whatever table of a record is named, the record is compared whole; it is counted once, as a row of it.
    """
    for rows in read_anchors(store, table, BATCH):
        yield from _apart(store, table, rows, _cross, look)


def _cross(store: SqlStore, table: SyncedTable, rows: Sequence[Row]) -> Found:
    """Publish what the records that rows belong to show, and the log does not say."""
    assert store.mapping is not None
    now = store.read_clock()
    crossed = find_changes(store, store.mapping, dict.fromkeys(rows, now), read_whole, whole=True)
    keep_crossed(store, store.mapping, crossed)
    changes = changes_of(crossed)
    append_changes(store, changes)
    came, went = set[Subject](), set[Subject]()
    for item, change in zip(crossed, changes, strict=True):
        if item.difference.part == store.mapping.records[item.subject.kind].root and change.alive is not None:
            if change.alive is not _lives(change.version):
                (came if change.alive else went).add(item.subject)
    every = {item.subject for item in crossed}
    return Found(table.name, len(came), len(every - came - went), len(went))

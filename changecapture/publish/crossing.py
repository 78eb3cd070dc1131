"""Changes of mapped tables become changes of common rows (bridge)."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from changecapture.bridge import Crossed, common_table, find_changes, keep_crossed
from changecapture.core.change import INSERT, Captured, Row
from changecapture.identify import name_rows
from changecapture.mapping.model import Lens
from changecapture.publish.change import Change
from changecapture.publish.home import refuse_keys
from changecapture.publish.whole import read_whole
from changecapture.store.interface import Store


def cross(store: Store, lens: Lens, captured: Sequence[Captured]) -> list[Change]:
    """Return the changes of common rows that captured changes of mapped tables come to (bridge).

    A change of a row makes its record dirty, and that of the key which it had, no more.
    """
    times: dict[int, dict[str, int]] = defaultdict(dict)
    for item in captured:
        known = times[item.table_id]
        for local_key in (item.key, item.old_key or item.key):
            known[local_key] = max(known.get(local_key, 0), item.captured_at)
    inserted = {(item.table_id, item.key) for item in captured if item.operation == INSERT}
    dirty: dict[Row, int] = {}
    made: set[Row] = set()
    for table_id, group in times.items():
        table = store.tables[table_id]
        for local_key, key in name_rows(store, table, group).items():
            row = Row(table.wire, key)
            dirty[row] = max(dirty.get(row, 0), group[local_key])
            if (table_id, local_key) in inserted:
                made.add(row)
    for row in refuse_keys(store, dirty):
        del dirty[row]
        made.discard(row)
    found = find_changes(store, lens, dirty, read_whole, made=made)
    keep_crossed(store, lens, found, made)
    return changes_of(found)


def split_crossing(
    store: Store, captured: Sequence[Captured]
) -> tuple[Sequence[Captured], Sequence[Captured]]:
    """Return the captured changes of tables that are on the wire themselves, and those of mapped ones."""
    if store.mapping is None:
        return captured, ()
    mapped = {id_ for id_, table in store.tables.items() if table.wire in store.mapping.local_tables}
    return (
        [item for item in captured if item.table_id not in mapped],
        [item for item in captured if item.table_id in mapped],
    )


def changes_of(found: Iterable[Crossed]) -> list[Change]:
    """Return what an application did to common rows as changes of this pass."""
    return [
        Change(
            common_table(item.part.table, item.part.scope),
            item.row,
            "",
            version,
            alive=item.alive,
            columns=item.columns,
            captured_at=at,
        )
        for _, item, at, version, _ in found
    ]

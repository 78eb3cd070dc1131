"""All records of a mapping: those that the application has, and those that live in the log.

Each is named by its anchor, the row of the application that it stands or falls with: of a record that is gone
here, the row that it would have. ``reconcile`` and ``verify`` walk them.
"""

from collections.abc import Iterator
from functools import partial

from changecapture.bridge import local_rows, record_subjects
from changecapture.core.change import Row
from changecapture.core.pages import KEY, walk
from changecapture.core.table import SyncedTable
from changecapture.identify import name_rows
from changecapture.store.sqlstore import SqlStore


def read_anchors(store: SqlStore, table: SyncedTable, page: int) -> Iterator[list[Row]]:
    """Yield the anchors of the records of a table of the application, some at a time, some of them twice."""
    for texts in walk(partial(store.read_local_keys_after, table), str, None, page):
        yield sorted(Row(table.wire, key) for key in name_rows(store, table, texts).values())
    lens = store.mapping
    for kind, record in enumerate(lens.records if lens is not None else ()):
        if record.anchor.table == table.wire:
            yield from _read_living(store, kind, page)


def _read_living(store: SqlStore, kind: int, page: int) -> Iterator[list[Row]]:
    """Yield the anchors of the records of a kind whose root lives in the log."""
    lens = store.mapping
    assert lens is not None
    record = lens.records[kind]
    for known in walk(partial(store.read_alive_after, record.root.table), KEY, "", page):
        subjects = record_subjects(store, lens, kind, known)
        yield sorted({local_rows(lens, subject)[record.anchor.name] for subject in subjects})

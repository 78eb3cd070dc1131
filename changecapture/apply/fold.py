"""Steps 1, 2 and 6 of a row that has several keys (core.alias): what stands here under each becomes one row.

The row that stays is the one with the name of the joined row, else the first by key. What refers to
another is led to it, and the other goes; then the row that stays gets the name. What refers to it in
tables that are not synced is led over too: nothing of the application's is to be lost by a cascade. The
application may be holding any of it: then all waits.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from changecapture.apply.localise import locate
from changecapture.apply.work import BUSY, Parked, Work, attempt
from changecapture.core.change import Version
from changecapture.core.table import SyncedTable
from changecapture.errors import ConfigError, DataError
from changecapture.store.interface import Store


def hold_members(store: Store, table: SyncedTable, works: Sequence[Work]) -> None:
    """Steps 1 and 2: lock the rows that stand here under any of a row's keys."""
    keys = {key for work in works for key in work.members}
    places = locate(store, table, keys)
    held = store.hold_rows(table, places, leaving=True)
    found = [places[key] for key in held]  # two keys made of one row's keys are one place
    missing = {key: place for key, place in places.items() if key not in held and place not in found}
    busy = store.find_rows(table, missing) if missing else set()
    for work in works:
        if not busy.isdisjoint(work.members):
            work.parked = Parked(BUSY, "the application holds the row")
            continue
        here = {key: held[key] for key in work.members if key in held}
        stays = work.row.key if work.row.key in here else min(here, default=work.row.key)
        work.local_key = here.pop(stays, None)
        work.double = [item for item in here.items() if item[1] != work.local_key]
        work.misnamed = work.local_key is not None and stays != work.row.key


def fold(store: Store, works: Iterable[Work]) -> None:
    """Step 6: make one row, with the right name, of what stands here under several keys; children first."""
    concerned = [work for work in works if work.double or work.misnamed]
    concerned.sort(key=lambda work: -store.ranks.get(work.table.name, 0))
    for work in concerned:
        refused = attempt(store, [work], lambda part: _fold(store, part[0]))
        work.parked = refused.get(work.row)


def _fold(store: Store, work: Work) -> None:
    table = work.table
    doubles = [text for _, text in work.double]
    if doubles:
        for name, column, target_column in _find_referring(store, table):
            values = store.read_values(table, target_column, [str(work.local_key), *doubles])
            for text in doubles:
                _move(store, (name, column), values.get(text), values.get(str(work.local_key)))
        for text in doubles:
            store.keep_image(table, work.row, text, work.version or Version(0, "", True, 0))
        store.delete_rows(table, doubles)
        store.forget_assigned(table, [key for key, _ in work.double])
    places = locate(store, table, [work.row.key])
    if work.misnamed:
        store.rename_row(table, str(work.local_key), work.row.key, places.get(work.row.key, ()))
        places = locate(store, table, [work.row.key])
    work.local_key = store.hold_rows(table, places).get(work.row.key, work.local_key)
    work.double, work.misnamed = [], False


def _move(store: Store, place: tuple[str, str], old: Any, new: Any) -> None:
    """Lead over what refers to a row. The relay may lack the right, in tables that are not synced."""
    if old is None or new is None:
        return
    try:
        store.move_references(*place, old, new)
    except ConfigError as error:
        raise DataError(
            f"rows of {place[0]} refer to it, and this account may not change them",
            reason="rights",
            mend="run changecapture parked retry as an administrator",
        ) from error


def _find_referring(store: Store, table: SyncedTable) -> list[tuple[str, str, str]]:
    """Return (table, column, column of this table that it holds) of every reference to a table."""
    found = dict.fromkeys(table.outside)
    for other in store.tables_by_name.values():
        for column in (*other.columns, *other.identity.columns):
            if column.reference is not None and column.reference.table == table.name:
                found[other.name, column.name, column.reference.target_column] = None
    return list(found)

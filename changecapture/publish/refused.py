"""What UPDATE IGNORE was kept from writing: MySQL fires its triggers for such a row all the same.

A column is believed if the row shows it (``find_refusable``), a change of key if the row goes on under the
new one (``take_back``).
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from changecapture.core.change import BACKFILL, INSERT, Captured
from changecapture.core.table import SyncedTable
from changecapture.store.interface import Store


@dataclass(frozen=True, slots=True)
class Taken:
    """The captured changes of a pass, those that were refused a key as updates of the row that stayed, and
    the ids of these."""

    captured: Sequence[Captured]
    refused: Collection[int]


def find_refusable(table: SyncedTable) -> set[str]:
    """Return the columns with which UPDATE IGNORE may have left a row as it was though MySQL's trigger fired:
    a foreign key or a unique index can have refused a value. A column that shows something else now was not
    written, or was written again since, which is captured too."""
    referring = {c.wire for c in table.columns if c.reference is not None and c.reference.enforced}
    return referring | {name.lower() for name in table.unique}


def take_back(store: Store, captured: Sequence[Captured]) -> Taken:
    """Let a row whose change of key was refused stay where it is."""
    moves = [item for item in captured if item.old_key is not None] if store.engine == "mysql" else []
    if not moves:
        return Taken(captured, ())
    standing = _find_standing(store, moves)
    following = _find_following(captured)
    refused = {item.id for item in moves if _is_refused(item, following.get(item.id), standing)}
    return Taken([_stay(item) if item.id in refused else item for item in captured], refused)


def _stay(item: Captured) -> Captured:
    assert item.old_key is not None
    return item._replace(key=item.old_key, old_key=None)


def _find_standing(store: Store, moves: Sequence[Captured]) -> set[tuple[int, str]]:
    """Return (table, local key) of those that the moves name and that stand in their tables now."""
    named: dict[int, dict[str, None]] = defaultdict(dict)
    for item in moves:
        assert item.old_key is not None
        named[item.table_id] |= {item.key: None, item.old_key: None}
    return {
        (table_id, local_key)
        for table_id, keys in named.items()
        if store.tables[table_id].name in store.tables_by_name
        for local_key in store.read_rows(store.tables[table_id], list(keys))
    }


def _find_following(captured: Sequence[Captured]) -> dict[int, Captured]:
    """Return {id of a move: the next change that begins where it began, or where it went}."""
    following: dict[int, Captured] = {}
    begins: dict[tuple[int, str], Captured] = {}
    for item in sorted(captured, reverse=True):
        if item.old_key is not None:
            nexts = [begins.get((item.table_id, key)) for key in (item.key, item.old_key)]
            found = [later for later in nexts if later is not None]
            if found:
                following[item.id] = min(found)
        begins[item.table_id, _begin(item)] = item
    return following


def _begin(item: Captured) -> str:
    return item.key if item.old_key is None else item.old_key


def _is_refused(item: Captured, later: Captured | None, standing: Collection[tuple[int, str]]) -> bool:
    """Return whether a row has kept its key: the next that happened to it found it there, or it stands.

    Not where one stands under the new key: what happened at the old one may be another's, that came there.
    """
    here, there = ((item.table_id, key) in standing for key in (item.old_key, item.key))
    if there or later is None:
        return here and not there
    return _begin(later) == item.old_key and later.operation not in (INSERT, BACKFILL)

"""What is written into the rows of the application that show a record, and what became of it."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from changecapture.apply.remove import delete_dead, hold_children, must_go
from changecapture.apply.show import publish_held
from changecapture.apply.work import Work
from changecapture.apply.write import hold_present, insert_absent, update_present
from changecapture.core.change import Row, Version
from changecapture.mapping.lens import fill
from changecapture.mapping.model import Record
from changecapture.mapping.parts import Local, Place
from changecapture.store.interface import Store

SHOWN = Version(0, "", True, 0)
"""Of a row of the application that shows a record: it lives, and its own entries are none."""

T = TypeVar("T")


def decide_row(
    record: Record,
    part: Local,
    key: str,
    columns: dict[str, Any] | None,
    was: dict[str, Any] | None,
    anew: bool,
    here: bool,
) -> dict[str, Any] | None:
    """Return what is written into a row of the application, None when nothing is. ``columns``: what it is to
    show, None when it goes; ``was``: what it showed; ``here``: whether the record is to be there.

    Of a composed text all pieces are written: the application may have left some empty (``Pair.whole``).
    """
    if columns is None:
        # What the mapping never showed there is the application's own.
        return None if was is None and not anew and here else {}
    if anew:
        return fill(part, key, columns)
    old = {} if was is None else was
    changed = {c for c, v in columns.items() if c not in old or old[c] != v}
    changed.update(*(record.together.get(Place(part.name, column), ()) for column in changed))
    return {c: columns[c] for c in columns if c in changed} or None


class Came(Exception):
    """The application has inserted a row meanwhile that was absent when it was looked for (R6)."""


def afresh(store: Store, cross: Callable[[], T]) -> T:
    """Bring records across; once more where rows came meanwhile: what the application wrote is found now."""
    while True:
        try:
            with store.savepoint():
                return cross()
        except Came:
            continue


def write_works(store: Store, works: Sequence[Work]) -> None:
    """Step 6: insert, update and delete, as ``show`` does; raise Came for rows that came meanwhile."""
    doomed = hold_children(store, works)
    if doomed:
        publish_held(store, doomed)
    active = [work for work in works if work.parked is None]
    absent = [w for w in active if w.local_key is None and w.decision and w.decision.alive]
    insert_absent(store, absent)
    refused = [Work(work.table, work.row) for work in absent if work.parked is not None]
    hold_present(store, refused)
    if any(work.local_key is not None for work in refused):
        raise Came
    active = [work for work in active if work.parked is None]
    update_present(store, [w for w in active if w.local_key and not w.inserted and not must_go(w)])
    delete_dead(store, [w for w in active if must_go(w)], {w.row: w for w in [*doomed, *active]})


def finish_works(store: Store, works: Sequence[Work], stuck: set[Row]) -> int:
    """Say which rows are shown now, and which are parked; return how many these are."""
    shown = [work for work in works if work.parked is None]
    store.forget_images([work.row for work in shown if work.decision and work.decision.alive])
    store.forget_parked([work.row for work in shown if work.row in stuck])
    store.write_waiting({work.row: work.waiting for work in shown if work.again})
    store.add_waiting({work.row: work.waiting for work in shown if work.waiting and not work.again})
    refused = [work for work in works if work.parked is not None]
    store.write_parked({work.row: work.parked for work in refused if work.parked is not None})
    store.add_waiting({work.row: work.waiting for work in refused if work.waiting})
    return len(refused)

"""Publish: from ``captured`` to ``changelog``.

One pass takes whole transactions in the order of their last captured id, reads the rows of the inserts
late, in the same snapshot, and appends one entry for each row that changed. Several changes of one row
become one entry that carries every column that any of them wrote, whatever the last operation; a value
is never taken from a delete's image (R17). There is no cursor over a sequence, so no gap to miss: a
transaction that commits late is simply found by a later pass.

Publish and apply are the only writers of the changelog, one at a time (``Store.lock``). What a pass
read is deleted in the same transaction; when less can be deleted than was read, someone else was here
and the pass is rolled back (R18). Before a pass the site makes sure that it is the one that it remembers
(``epochs``).
"""

from collections.abc import Sequence

from changecapture.core.change import Captured
from changecapture.core.codec import KEY_LENGTH
from changecapture.epochs import recall, remember
from changecapture.faults import concerns_row, explain, isolate
from changecapture.publish.append import append_changes
from changecapture.publish.coalesce import coalesce
from changecapture.publish.crossing import append_crossed, cross, split_crossing
from changecapture.publish.edits import append_edits
from changecapture.publish.home import keep_fitting, keep_home, read_large_whole
from changecapture.publish.late import read_late
from changecapture.publish.plain import append_plain
from changecapture.store.interface import Store

__all__ = ["PASS_LIMIT", "publish", "publish_captured"]

PASS_LIMIT = 2000
"""Captured changes in a pass. A single transaction above it is cut."""


def publish(store: Store, limit: int = PASS_LIMIT) -> int:
    """Publish one pass; return how many captured changes it took, 0 when none were waiting.

    A change that cannot be published is noted as missed, and left to ``reconcile``.
    """
    if not store.has_captured():
        return 0
    with store.lock():
        recall(store)
        store.refresh_tables()
        try:
            with store.snapshot():
                captured = store.read_captured(limit)
                if captured:
                    publish_captured(store, captured)
            taken = len(captured)
        except Exception as error:
            if not concerns_row(error):
                raise
            taken = _publish_apart(store, limit)
        remember(store)
    return taken


def _publish_apart(store: Store, limit: int) -> int:
    """Publish a pass in parts, what cannot be published left out."""

    def publish_part(part: Sequence[Captured]) -> int:
        with store.snapshot():
            publish_captured(store, part)
        return len(part)

    def set_aside(item: Captured, error: Exception) -> int:
        with store.snapshot():
            why = f"{item.key[:KEY_LENGTH]} was not published: {': '.join(explain(error))}"
            store.write_missed(store.tables[item.table_id].name, item.operation, why)
            store.delete_captured([item.id])
        return 1

    with store.snapshot():
        captured = store.read_captured(limit)
    return sum(isolate(captured, publish_part, set_aside)) if captured else 0


def publish_captured(store: Store, captured: Sequence[Captured]) -> None:
    """Publish these captured changes as one pass, in the transaction that is open."""
    fitting = keep_fitting(store, captured)
    if not append_plain(store, fitting) and not append_edits(store, fitting):
        own, crossing = split_crossing(store, fitting)
        changes = keep_home(store, list(coalesce(store, own, fitting).values()))
        crossed = cross(store, store.mapping, crossing) if store.mapping is not None and crossing else []
        if changes or not append_crossed(store, crossed):
            changes += crossed
            read_large_whole(store, changes)
            read_late(store, changes)
            append_changes(store, changes)
    store.delete_captured([item.id for item in captured])

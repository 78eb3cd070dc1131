"""Conflicts that someone has decided: an entry that writes the column, and whose author had both values, says
what is right. The record of the conflict is settled wherever the entry arrives."""

from collections.abc import Iterable

from changecapture.apply.work import Work
from changecapture.core.change import Entry, Name
from changecapture.core.merge import has_seen_name, read_columns
from changecapture.store.interface import Store


def settle_conflicts(store: Store, works: Iterable[Work]) -> None:
    """Note as settled the conflicts that entries decide which are being applied."""
    fresh = {work.row: work.fresh for work in works if work.fresh}
    deciding: list[tuple[int, Entry, list[Name]]] = []
    for id_, row, column, *texts in store.read_open_conflicts(fresh):
        both = [Name.from_text(text) for text in texts]
        for entry in fresh[row]:
            if column in read_columns(entry) and entry.name not in both:
                deciding.append((id_, entry, both))
    contexts = store.read_contexts({(e.origin, e.epoch, e.pass_number) for _, e, _ in deciding})
    store.settle_conflicts(
        [
            id_
            for id_, entry, both in deciding
            if all(has_seen_name(entry, name, entry.scope, contexts) for name in both)
        ]
    )

"""Changes of mapped tables become changes of common rows (bridge)."""

from collections.abc import Iterable, Sequence

from changecapture.bridge import Crossed, common_table, find_changes
from changecapture.core.change import (
    Row,
)
from changecapture.mapping.model import Mapping as Lens
from changecapture.publish.change import Change
from changecapture.publish.whole import read_whole
from changecapture.store.interface import Store


def cross(store: Store, lens: Lens, changes: Sequence[Change]) -> list[Change]:
    """Let changes of mapped tables become changes of common rows (bridge); the others stay as they are."""
    mapped = [change for change in changes if change.table.wire in lens.local_tables]
    if not mapped:
        return list(changes)
    found = find_changes(store, lens, {change.row: change.captured_at for change in mapped}, read_whole)
    crossed = changes_of(store, found)
    return [*(change for change in changes if change.table.wire not in lens.local_tables), *crossed]


def changes_of(store: Store, found: Iterable[Crossed]) -> list[Change]:
    """Return what an application did to common rows as changes of this pass."""
    items = [(item, Row(item.part.table, item.key), at) for _, item, at in found]
    versions = store.read_versions({row for _, row, _ in items})
    return [
        Change(
            common_table(item.part.table, item.part.scope),
            row,
            "",
            versions.get(row),
            alive=item.alive,
            columns=item.columns,
            captured_at=at,
        )
        for item, row, at in items
    ]

"""Values that lost, for a person to decide."""

from dataclasses import dataclass

from changecapture.core.change import Name, Row
from changecapture.history import read_names
from changecapture.review import read_conflicts
from changecapture.store.review import Lost
from changecapture.store.sqlstore import SqlStore
from relay.page.views.labels import SHOWN_LIMIT, label_rows


@dataclass(frozen=True, slots=True)
class ConflictView:
    """A conflict, with what a person calls the row and the two sites."""

    lost: Lost
    label: str
    kept_by: str
    lost_by: str


def view_conflicts(store: SqlStore) -> list[ConflictView]:
    """Return the first open conflicts."""
    found = read_conflicts(store)[:SHOWN_LIMIT]
    labels = label_rows(store, [Row(lost.table, lost.key) for lost in found])
    names = read_names(store)
    return [
        ConflictView(
            lost,
            labels.get(Row(lost.table, lost.key), ""),
            _name_author(names, lost.kept_name),
            _name_author(names, lost.lost_name),
        )
        for lost in found
    ]


def _name_author(names: dict[str, str], entry: str) -> str:
    """Return what the site is called that wrote an entry: its name, the id where that is not known."""
    origin = Name.from_text(entry).origin
    return names.get(origin, origin[:8])

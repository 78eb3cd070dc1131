"""Rows found by a part of a name or a uuid."""

from dataclasses import dataclass

from changecapture.core.change import Row
from changecapture.errors import ConfigError
from changecapture.history import Life, read_history
from changecapture.store.sqlstore import SqlStore
from relay.page.views.labels import label_rows

FOUND_LIMIT = 50


@dataclass(frozen=True, slots=True)
class Found:
    """A row that a search has found."""

    table: str
    key: str
    label: str


def search_rows(store: SqlStore, text: str) -> list[Found]:
    """Return rows whose key or whose values hold a text, in whatever case."""
    if not text:
        return []
    found = store.search_rows(text, FOUND_LIMIT)
    labels = label_rows(store, found)
    return [Found(row.table, row.key, labels.get(row, "")) for row in found]


def view_life(store: SqlStore, row: Row) -> tuple[Life, str] | None:
    """Return a row's life over all sites and what a person calls it; None when nothing is known of it."""
    try:
        life = read_history(store, row.table, row.key)
    except ConfigError:
        return None
    named = Row(life.table, life.key)
    return life, label_rows(store, [named]).get(named, "")

"""The single-column references of a table: those of the catalogue and the hidden ones."""

from collections.abc import Collection
from dataclasses import dataclass

from changecapture.core.catalogue import ForeignKey, Table
from changecapture.profiles import Profile


@dataclass(frozen=True, slots=True)
class Link:
    """A column that names a row of ``target``, a table that need not exist."""

    column: str
    target: str
    target_column: str
    on_delete: str = ""
    """The foreign key's action, empty for a hidden reference."""


@dataclass(frozen=True, slots=True)
class Links:
    """All links of a table by column, and its foreign keys of several columns."""

    by_column: dict[str, tuple[Link, ...]]
    compound: tuple[ForeignKey, ...]

    def of(self, column: str, synced: Collection[str]) -> Link | None:
        """Return the link of a column, one to a synced table if there is one; None without any."""
        links = self.by_column.get(column, ())
        return next((link for link in links if link.target in synced), links[0] if links else None)


def find_links(table: Table, profile: Profile, spelled: dict[str, str]) -> Links:
    """Return the links of a table; ``spelled``: the catalogue's names by their lower case."""
    found: dict[str, list[Link]] = {}
    for key in table.foreign_keys:
        if len(key.columns) == 1:
            target = spelled.get(key.target.lower(), key.target)
            link = Link(key.columns[0], target, key.target_columns[0], key.on_delete)
            found.setdefault(link.column, []).append(link)
    for hidden in profile.hidden_references(table.name):
        column = table.column(hidden.column)
        if column is not None:
            target = spelled.get(hidden.target.lower(), hidden.target)
            link = Link(column.name, target, hidden.target_column)
            found.setdefault(column.name, []).append(link)
    return Links(
        by_column={column: tuple(links) for column, links in found.items()},
        compound=tuple(key for key in table.foreign_keys if len(key.columns) > 1),
    )

"""How the rows of a table are named, and how they are found locally.

In this order: the profile's own rule; the application's uuid column; a textual primary key; a
primary key of several columns, or of one that names the row of another table; without a primary
key, the first unique key that cannot be NULL. Where the database numbers the rows: a unique key that
only names other rows (the details of a person, a link), else a uuid of ours. A number that the
application gives is no name: two sites give the same one.
"""

from collections.abc import Collection
from dataclasses import dataclass

from changecapture.core.catalogue import Column, Table
from changecapture.core.table import IdentityKind
from changecapture.plan.links import Links
from changecapture.profiles import Profile


@dataclass(frozen=True, slots=True)
class Key:
    """The kind of an identity and its columns."""

    kind: IdentityKind
    columns: tuple[str, ...] = ()

    def holds(self, column: str) -> bool:
        """Return whether that column's value is by itself the name of the row."""
        names = tuple(name.lower() for name in self.columns)
        return self.kind in ("uuid", "natural") and names == (column.lower(),)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a table cannot be synced."""

    reason: str


def choose_key(table: Table, links: Links, profile: Profile, synced: Collection[str]) -> Key | Refusal:
    """Return the identity of a table's rows; ``synced`` are the tables that references may name."""
    rule = profile.key_rule(table.name)
    if rule is not None:
        return _key_of(table, rule.columns, links, synced, "the profile's key")
    uuid = _uuid_column(table, links, profile)
    if uuid is not None:
        return Key("uuid", (uuid,))
    if table.primary_key:
        return _primary_key(table, links, synced)
    unique = first_unique(table)
    if unique:
        return _key_of(table, unique, links, synced, "its unique key")
    return Refusal("no key: no primary key, no unique key without NULL, no identity column")


def choose_locator(table: Table, key: Key) -> tuple[str, ...]:
    """Return the columns that find a row: primary key, else a unique key, else the identity."""
    return table.primary_key or first_unique(table) or key.columns


def first_unique(table: Table) -> tuple[str, ...]:
    """Return the first unique key whose columns are all NOT NULL, () when there is none."""
    for columns in table.uniques:
        if not any(column_of(table, name).nullable for name in columns):
            return columns
    return ()


def is_covered(table: Table, key: Key) -> bool:
    """Return whether a unique index keeps two rows from having one identity."""
    if key.kind == "assigned":
        return True
    columns = set(key.columns)
    return any(index and columns >= set(index) for index in (table.primary_key, *table.uniques))


def column_of(table: Table, name: str) -> Column:
    """Return the column of that name; KeyError when there is none."""
    column = table.column(name)
    if column is None:
        raise KeyError(f"{table.name}.{name}")
    return column


def _primary_key(table: Table, links: Links, synced: Collection[str]) -> Key | Refusal:
    if any(column_of(table, name).automatic for name in table.primary_key):
        linking = _linking_key(table, links, synced)
        return _key_of(table, linking, links, synced, "") if linking else Key("assigned")
    return _key_of(table, table.primary_key, links, synced, "its primary key")


def _linking_key(table: Table, links: Links, synced: Collection[str]) -> tuple[str, ...]:
    """Return the first unique key that consists of references that must be there, or ()."""
    for names in table.uniques:
        found = [links.of(name, synced) for name in names]
        if all(link is not None and link.target in synced for link in found):
            if not any(column_of(table, name).nullable for name in names):
                return names
    return ()


def _key_of(
    table: Table, names: tuple[str, ...], links: Links, synced: Collection[str], what: str
) -> Key | Refusal:
    """Return the key that is made of these columns."""
    columns = [table.column(name) for name in names]
    found = tuple(column for column in columns if column is not None)
    spelled = ", ".join(names)
    if len(found) < len(names):
        return Refusal(f"no key: {what} ({spelled}) names a column that is not there")
    own = tuple(column.name for column in found)
    if len(found) > 1:
        return Key("composite", own)
    if found[0].kind == "text":
        return Key("natural", own)
    if links.of(own[0], synced) is not None:
        return Key("composite", own)
    if what == "the profile's key" and found[0].kind == "integer":
        return Key("natural", own)
    return Refusal(
        f"no key: {what} {spelled} ({found[0].type}) is given by the application, and two sites"
        " would give the same; name another key in a profile"
    )


def _uuid_column(table: Table, links: Links, profile: Profile) -> str | None:
    for name in profile.uuid_columns:
        column = table.column(name)
        if column is None or column.kind != "text" or column.name in links.by_column:
            continue
        indexes = (table.primary_key, *table.uniques)
        if not profile.uuid_unique or (column.name,) in indexes:
            return column.name
    return None

"""Refuses an installation that would give the rows of a table other names at every site.

What names a row is found in the catalogue: an application's uuid only where a unique index keeps it one.
When that index is dropped, or a restored dump came without it, an installation would take keys of its own
instead, and every peer would delete the rows and get them under names that its application does not know.
"""

from collections.abc import Iterator

from changecapture.core.table import Identity, SyncedTable
from changecapture.errors import ConfigError
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import Wanted, is_there

OPTION = "--new-keys"


def check_names(store: SqlStore, wanted: Wanted) -> None:
    """Raise ConfigError where rows that have a name would get another."""
    renamed = list(_find_renamed(store, wanted)) if is_there(store, "synced_table") else []
    if renamed:
        names = ", ".join(renamed)
        raise ConfigError(
            f"the rows of {names} would get other names, here and at every other site",
            why="what names them is not what it was: peers would delete them and insert them anew",
            mend=f"put back the unique index of before; or, where that is meant, add {OPTION}",
        )


def _find_renamed(store: SqlStore, wanted: Wanted) -> Iterator[str]:
    tables = {table.name: table for table in wanted.tables}
    for (text,) in store.query(f"SELECT definition FROM {store.prefix}synced_table WHERE active = 1"):
        before = SyncedTable.from_json(str(text))
        after = tables.get(before.name)
        if after is not None and _describe(before.identity) != _describe(after.identity):
            named = f"SELECT 1 FROM {store.prefix}row_version WHERE table_name = %s LIMIT 1"
            if store.query(named, (before.wire,)):
                yield f"{before.name} ({_describe(before.identity)}; now {_describe(after.identity)})"


def _describe(identity: Identity) -> str:
    """Return what a name is made of, as a person says it; places of a key of several columns count."""
    return ", ".join(column.name.lower() for column in identity.columns) or "keys of ours"

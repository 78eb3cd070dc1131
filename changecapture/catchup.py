"""Catching up: what the log has for a table or a column that this site did not have is shown once it does.

Entries of a table that is not synced here are carried: kept, forwarded, not merged. Columns that a table does
not have are kept in the log, and the rest of the row is shown. When an installation finds the table, or
more columns, the rows concerned are parked (``schema``), in the step that takes the table in, so that a
killed installation forgets none; then they are shown like any other parked row. A table that comes back
(the application made it anew) gets the rows again that it had, where they are missing: a DROP was no delete.
What others joined while this program did not know aliases is joined now.
"""

from collections.abc import Collection, Iterable
from functools import partial

from changecapture.apply import hear_aliases, retry
from changecapture.apply.localise import locate
from changecapture.core.change import Row
from changecapture.core.pages import KEY, walk
from changecapture.core.table import SyncedTable
from changecapture.errors import ConfigError
from changecapture.mapping import load_mapping, read_text
from changecapture.store.sqlstore import SqlStore

SCHEMA = "schema"
"""Why a row is parked that is to be shown with what its table has now."""
DETAIL = "the table has changed: it is to be shown anew"
BATCH = 1000
NO_MAPPING = "none"


def park_columns(store: SqlStore, table: SyncedTable, columns: Iterable[str]) -> list[str]:
    """Return the statement that parks the rows of a table for which the log has one of these columns (wire
    names); none when there are no such columns."""
    literal = store.dialect.literal
    # Any entry that names the column, even in a value: to show a row again changes nothing.
    named = " OR ".join(f"c.columns LIKE {literal(_like(name))} ESCAPE '!'" for name in columns)
    if not named:
        return []
    name = literal(table.wire)
    return [
        f"INSERT INTO {store.prefix}parked (table_name, row_key, reason, detail, parked_at) "
        f"SELECT DISTINCT c.table_name, c.row_key, '{SCHEMA}', '{DETAIL}', 0 "
        f"FROM {store.prefix}changelog c LEFT JOIN {store.prefix}parked p "
        "ON p.table_name = c.table_name AND p.row_key = c.row_key "
        f"WHERE c.table_name = {name} AND p.row_key IS NULL AND ({named})"
    ]


def _like(name: str) -> str:
    text = name.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f'%"{text}":%'


def park_carried(store: SqlStore, table: SyncedTable) -> None:
    """Park the rows of a table for which something is carried, and those that it had and has no more."""
    after = ""
    while True:
        rows = store.query(
            f"SELECT DISTINCT row_key FROM {store.prefix}changelog "
            f"WHERE table_name = %s AND row_key > %s AND applied = 0 ORDER BY row_key LIMIT {BATCH}",
            (table.wire, after),
        )
        if not rows:
            break
        _park(store, {Row(table.wire, key) for (key,) in rows})
        after = rows[-1][0]
    for known in walk(partial(store.read_alive_after, table.wire), KEY, "", BATCH):
        places = locate(store, table, [row.key for row in known], lock=False)
        there = store.find_rows(table, places)
        _park(store, {row for row in known if row.key not in there})


def _park(store: SqlStore, rows: set[Row]) -> None:
    fresh = rows - store.read_parked(rows)
    store.write_parked({row: (SCHEMA, DETAIL) for row in fresh})


def show_carried(store: SqlStore) -> None:
    """Show the rows that were parked for the sake of their tables."""
    hear_aliases(store)
    if store.query(f"SELECT 1 FROM {store.prefix}parked WHERE reason = '{SCHEMA}' LIMIT 1"):
        retry(store)


def check_mapping(name: str, tables: Collection[str], database: str) -> None:
    """Raise ConfigError when there is no such mapping, or none of its tables is synced (wire names)."""
    if name == NO_MAPPING:
        return
    lens = load_mapping(read_text(name), name)
    if lens.local_tables.isdisjoint(tables):
        raise ConfigError(
            f"{database} is no database of the mapping {name}: none of its tables is synced there",
            mend=f"correct the URL; changecapture mapping check {name} --url URL names what is missing",
        )


def write_mapping(store: SqlStore, name: str) -> None:
    """Install a mapping (its name, its file, or ``none``). What its tables hold is published as common rows
    by the backfill that follows; what was carried for want of it is parked, to be shown."""
    text = "" if name == NO_MAPPING else read_text(name)
    lens = load_mapping(text, name) if text else None
    known = store.query(f"SELECT text FROM {store.prefix}mapping")
    if known == ([(text,)] if text else []):
        return
    store.load_tables()
    tables = sorted(lens.local_tables if lens is not None else ())
    store.execute(f"DELETE FROM {store.prefix}mapping")
    for table_id, table in store.tables.items():
        if table.wire in tables:
            store.execute(
                f"UPDATE {store.prefix}synced_table SET backfilled = 0, backfill_key = NULL "
                "WHERE table_id = %s",
                (table_id,),
            )
    if lens is not None:
        store.execute(f"INSERT INTO {store.prefix}mapping (id, name, text) VALUES (1, %s, %s)", (name, text))
        for table_name in lens.common_tables:
            _park(store, set(store.read_carried(table_name)))
    store.execute(f"UPDATE {store.prefix}site SET installed_at = %s", (store.read_clock(),))

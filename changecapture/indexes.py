"""Indexes: what an identity without one gets, so that publish and apply find rows by it.

None is made where an index of the application begins with the same columns. On MySQL an index that
a foreign key brought by itself disappears, without a word, when a longer one covers it; ours could not be
taken away again. So each index that ours would cover is declared again, explicitly, in the same statement.

On PostgreSQL an index is made CONCURRENTLY: the application goes on writing. That waits for the transactions
that are open, and fails with the first that does not end; what it leaves is then no index, and goes first.
"""

from collections import defaultdict
from types import ModuleType

from changecapture.core.table import SyncedTable
from changecapture.sql import fill, read_statements
from changecapture.store.sqlstore import SqlStore

PLAIN_INDEXES = {
    "postgresql": (
        "SELECT x.relname, k.place, a.attname FROM pg_index i "
        "JOIN pg_class x ON x.oid = i.indexrelid "
        "CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (number, place) "
        "JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number "
        "JOIN pg_class c ON c.oid = i.indrelid "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = %s "
        "AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL AND k.place <= i.indnkeyatts "
        "ORDER BY 1, 2"
    ),
    "mysql": (
        "SELECT index_name, seq_in_index, IF(sub_part IS NULL, column_name, '') "
        "FROM information_schema.statistics "
        "WHERE table_schema = DATABASE() AND table_name = %s AND index_type = 'BTREE' "
        "ORDER BY 1, 2"
    ),
}
"""The columns of a table's indexes, those without a condition or an expression."""


def index_statements(store: SqlStore, dialect: ModuleType, table: SyncedTable, table_id: int) -> list[str]:
    """Return what makes the index of a table's identity, nothing when there is one."""
    columns = table.identity.columns
    if table.identity.indexed or not columns:
        return []
    name = f"changecapture_identity_{table_id}"
    wanted = [column.name for column in columns]
    known = _read_indexes(store, table.name)
    if name in known or any(set(names[: len(wanted)]) == set(wanted) for names in known.values()):
        return []
    if store.engine == "postgresql":
        relation = dialect.quote(table.name)
        gone = fill(
            read_statements("triggers", "postgresql/remove.sql")["drop_index"], index=dialect.quote(name)
        )
        # A table in partitions has none that is made so.
        whole = store.query("SELECT relkind = 'r' FROM pg_class WHERE oid = %s::regclass", (relation,))[0][0]
        return [gone, dialect.create_index(name, table, {}, beside=bool(whole))]
    covered = {n: c for n, c in known.items() if c == wanted[: len(c)]}
    return [dialect.create_index(name, table, covered)]


def _read_indexes(store: SqlStore, table: str) -> dict[str, list[str]]:
    indexes: dict[str, list[str]] = defaultdict(list)
    for index, _, column in store.query(PLAIN_INDEXES[store.engine], (table,)):
        indexes[str(index)].append(str(column))
    return dict(indexes)

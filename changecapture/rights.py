"""Rights: what the account of an installation must be allowed, asked before anything is changed.

Only what would otherwise show too late is asked. PostgreSQL lets anyone with the TRIGGER right make a
trigger, but only the table's owner take it away: such an installation could be neither repaired nor removed.
Every other missing right stops the first statement that needs it, and a second run goes on from there.
"""

from collections.abc import Sequence

from changecapture.core.table import SyncedTable
from changecapture.errors import ConfigError
from changecapture.store.sqlstore import SqlStore

FOREIGN_TABLES = (
    "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s::text[]) "
    "AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1"
)


def check_rights(store: SqlStore, wanted: Sequence[SyncedTable]) -> None:
    """Raise ConfigError when the account could make triggers that it cannot take away."""
    if store.engine != "postgresql":
        return
    rows = store.query(FOREIGN_TABLES, ([table.name for table in wanted],))
    if rows:
        table, owner = rows[0]
        raise ConfigError(
            f"{store.url.user} does not own {len(rows)} of the tables to be synced",
            why=f"{table}, for one, belongs to {owner}; only its owner can take a trigger away again",
            mend=f"install as {owner}, or: GRANT {owner} TO {store.url.user}",
        )

"""Rights: what the account of an installation must be allowed, asked before anything is changed.

Only what would otherwise show too late is asked. PostgreSQL lets anyone with the TRIGGER right make a
trigger, but only the table's owner take it away: such an installation could be neither repaired nor removed.
On MySQL the triggers get an account of our own (``account``), and a server with a binary log wants SUPER of
who makes a trigger; of a missing CREATE ROUTINE the server says no more than "access denied". Every other
missing right stops the first statement that needs it, and a second run goes on from there.
"""

from collections.abc import Sequence

from changecapture.account import ALL, check_account, read_own_rights
from changecapture.core.table import SyncedTable
from changecapture.errors import ConfigError
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import Wanted

FOREIGN_TABLES = (
    "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s::text[]) "
    "AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1"
)


def check_rights(store: SqlStore, wanted: Wanted) -> None:
    """Raise ConfigError when the account could not make the triggers, or not take them away."""
    if store.engine == "postgresql":
        _check_owner(store, wanted.tables)
        return
    _check_binary_log(store)
    if wanted.definer == "account":
        check_account(store)
    _check_procedures(store)


def _check_owner(store: SqlStore, wanted: Sequence[SyncedTable]) -> None:
    rows = store.query(FOREIGN_TABLES, ([table.name for table in wanted],))
    if rows:
        table, owner = rows[0]
        raise ConfigError(
            f"{store.url.user} does not own {len(rows)} of the tables to be synced",
            why=f"{table}, for one, belongs to {owner}; only its owner can take a trigger away again",
            mend=f"install as {owner}, or: GRANT {owner} TO {store.url.user}",
        )


def _check_binary_log(store: SqlStore) -> None:
    logging, trusting = store.query("SELECT @@log_bin, @@log_bin_trust_function_creators")[0]
    own = read_own_rights(store)
    if logging and not trusting and not own.has("SUPER") and not own.has(ALL):
        raise ConfigError(
            f"{store.url.user} may not make triggers: the server has a binary log",
            why="it then asks SUPER of who makes one",
            mend="install as an administrator, or have one run: SET GLOBAL "
            "log_bin_trust_function_creators = 1 (and put it into the server's configuration)",
        )


def _check_procedures(store: SqlStore) -> None:
    """Refuse by name what the server refuses with a bare "access denied"."""
    own, database = read_own_rights(store), store.url.database
    if not own.has("CREATE ROUTINE", database) and not own.has(ALL, database):
        raise ConfigError(
            f"{store.url.user} may not make procedures in {database}",
            why="the triggers call some, for what foreign keys do and for what could not be captured",
            mend=f"have an administrator run: GRANT CREATE ROUTINE ON `{database}`.* TO that account",
        )

"""Rights: what the account of an installation must be allowed, asked before anything is changed.

PostgreSQL lets anyone with the TRIGGER right make a trigger, but only the table's owner take it away:
such an installation could be neither repaired nor removed. On MySQL the triggers get an account of our own
(``account``), and a server with a binary log wants SUPER of who makes a trigger. What is missing is
listed whole for ``doctor``; an installation is refused by the first of it.
"""

from collections.abc import Iterator, Sequence

from changecapture.account import ALL, check_account, read_account, read_own_rights
from changecapture.core.table import SyncedTable
from changecapture.errors import ConfigError
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import Wanted

INSTALLING = (
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "ALTER", "INDEX", "TRIGGER", "CREATE VIEW",
    "CREATE ROUTINE",
)  # fmt: skip
"""What an installation does in a database of MySQL."""
FOREIGN_TABLES = (
    "SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY(%s::text[]) "
    "AND NOT pg_has_role(c.relowner, 'USAGE') ORDER BY 1"
)


def check_rights(store: SqlStore, wanted: Wanted) -> None:
    """Raise ConfigError when the account could not make the triggers, or not take them away."""
    for error in find_missing(store, wanted):
        raise error


def find_missing(store: SqlStore, wanted: Wanted) -> Iterator[ConfigError]:
    """Yield what stands in the way of an installation, each with what mends it."""
    if store.engine == "postgresql":
        yield from _find_encoding(store)
        yield from _find_owner(store, wanted.tables)
        yield from _find_schema(store)
        return
    yield from find_statement_log(store)
    yield from find_distrusting_log(store)
    if wanted.definer == "account":
        try:
            check_account(store)
        except ConfigError as error:
            yield error
    yield from _find_database(store)


def _find_encoding(store: SqlStore) -> Iterator[ConfigError]:
    ((encoding,),) = store.query("SELECT current_setting('server_encoding')")
    if encoding != "UTF8":
        database = store.url.database
        yield ConfigError(
            f"the database {database} has the encoding {encoding}",
            why="the log could not hold what other sites write",
            mend=f"createdb --encoding=UTF8 --template=template0 {database}_utf8, then move the application",
        )


def _find_schema(store: SqlStore) -> Iterator[ConfigError]:
    rows = store.query(
        "SELECT pg_get_userbyid(nspowner), pg_has_role(nspowner, 'USAGE') FROM pg_namespace "
        "WHERE nspname = 'changecapture'"
    )
    user = store.query("SELECT current_user")[0][0]
    for owner, member in rows:
        if not member:
            yield ConfigError(
                f"{user} does not own the schema changecapture",
                why=f"it belongs to {owner}",
                mend=f"install as {owner}, or: GRANT {_quote(owner)} TO {_quote(user)}",
            )
    database = store.url.database
    if not rows and not store.query("SELECT has_database_privilege(current_database(), 'CREATE')")[0][0]:
        yield ConfigError(
            f"{user} may not make a schema in {database}",
            why="what is captured and received is kept in a schema of its own",
            mend=f"have its owner run: GRANT CREATE ON DATABASE {_quote(database)} TO {_quote(user)}",
        )


def _find_owner(store: SqlStore, wanted: Sequence[SyncedTable]) -> Iterator[ConfigError]:
    rows = store.query(FOREIGN_TABLES, ([table.name for table in wanted],))
    if rows:
        table, owner = rows[0]
        yield ConfigError(
            f"{store.url.user} does not own {len(rows)} of the tables to be synced",
            why=f"{table}, for one, belongs to {owner}; only its owner can take a trigger away again",
            mend=f"install as {owner}, or: GRANT {owner} TO {store.url.user}",
        )


def find_statement_log(store: SqlStore) -> Iterator[ConfigError]:
    """Yield what is wrong with the form of the server's binary log, if it has one; MySQL only."""
    logging, form = store.query("SELECT @@log_bin, @@GLOBAL.binlog_format")[0]
    if logging and form == "STATEMENT":
        yield ConfigError(
            "the server's binary log takes statements only",
            why="publish and apply need READ COMMITTED, which such a log refuses (error 1665)",
            mend="have an administrator run: SET GLOBAL binlog_format = 'MIXED' (and put it into the "
            "server's configuration)",
        )


def find_distrusting_log(store: SqlStore) -> Iterator[ConfigError]:
    """Yield that the binary log keeps the account from making triggers, if it does; MySQL only."""
    logging, trusting = store.query("SELECT @@log_bin, @@log_bin_trust_function_creators")[0]
    own = read_own_rights(store)
    if logging and not trusting and not own.has("SUPER") and not own.has(ALL):
        yield ConfigError(
            f"{store.url.user} may not make triggers: the server has a binary log",
            why="it then asks SUPER of who makes one",
            mend="install as an administrator, or have one run: SET GLOBAL "
            "log_bin_trust_function_creators = 1 (and put it into the server's configuration)",
        )


def _find_database(store: SqlStore) -> Iterator[ConfigError]:
    """Name what the server refuses with a bare "access denied"."""
    own, database = read_own_rights(store), store.url.database
    missing = [right for right in INSTALLING if not own.has(right, database) and not own.has(ALL, database)]
    if missing:
        yield ConfigError(
            f"{store.url.user} may not do in {database} all that an installation does",
            why="it makes tables, triggers, views and procedures there, and indexes",
            mend=f"have an administrator run: GRANT {', '.join(missing)} ON {own.pattern(database)}.* TO "
            f"{read_account(store)}",
        )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'

"""The only code that talks to a database: one interface, one file for each engine."""

from changecapture.config import DatabaseURL, parse_url
from changecapture.memo import Memo
from changecapture.store.sqlstore import SqlStore


def open_store(url: str | DatabaseURL, *, installed: bool = True, memo: Memo | None = None) -> SqlStore:
    """Return an open store; whoever publishes through it gives it the memo of its database.

    Raises ConfigError (wrong URL, password, right), RetryLater (server away). With ``installed`` it
    also raises ConfigError when nothing is installed, or by a newer program, and DriftError when it is half
    installed, or by an older one.
    """
    parsed = parse_url(url) if isinstance(url, str) else url
    # Imported late: a site needs only its own driver.
    if parsed.engine == "postgresql":
        from changecapture.store.postgresql import PostgresStore

        store: SqlStore = PostgresStore(parsed)
    else:
        from changecapture.store.mysql import MySQLStore

        store = MySQLStore(parsed)
    store.memo = memo
    if installed:
        try:
            store.check_revision()
            store.load_tables()
        except BaseException:
            store.close()
            raise
    return store

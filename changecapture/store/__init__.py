"""The only code that talks to a database: one interface, one file for each engine."""

from changecapture.config import DatabaseURL, parse_url
from changecapture.errors import ConfigError, DriftError
from changecapture.memo import Memo
from changecapture.revision import find_head, read_revisions
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
            _check_revision(store)
            store.load_tables()
        except BaseException:
            store.close()
            raise
    return store


def _check_revision(store: SqlStore) -> None:
    """Refuse fixed objects of another revision than this program's."""
    try:
        rows = store.query(f"SELECT version_num FROM {store.prefix}{store.dialect.VERSION_TABLE}")
    except DriftError:
        return  # nothing is installed: load_tables says so
    if not rows or rows[0][0] == find_head():
        return
    what = f"what is installed in {store.url} is of revision {rows[0][0]}, this program needs {find_head()}"
    if rows[0][0] in read_revisions():
        raise DriftError(what, mend="run: changecapture install URL")
    raise ConfigError(what, mend="use the changecapture that installed it, or a newer one")

"""Alembic's environment: a version table of our own, and after an upgrade the convergence.

The application's own Alembic, if it has one, is not touched: PostgreSQL keeps our version in the schema
``changecapture``, MySQL in ``changecapture_version``. The connection is the store's: same options, same
settings, and its errors come out in one line.

``changecapture.install`` calls this too, with the URL and the command as attributes of the
configuration, and does the convergence itself.
"""

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import StaticPool

from changecapture.account import forget_account
from changecapture.config import DatabaseURL, parse_url
from changecapture.errors import ChangeCaptureError, ConfigError
from changecapture.install import check, converge, release
from changecapture.store import open_store
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import DEFINERS

DRIVERS = {"postgresql": "postgresql+psycopg://", "mysql": "mysql+pymysql://"}
VERSION_TABLE = "changecapture_version"
SCHEMAS = {"postgresql": "changecapture", "mysql": None}
WRITING = ("upgrade", "downgrade", "stamp")
TERMINATORS = {"postgresql": ";", "mysql": "\n$$"}
"""What ends a statement in a script: MySQL's client would end a trigger at its first semicolon."""


def run() -> None:
    """Do what Alembic's command asks for."""
    command = context.config.attributes.get("command")
    if context.is_offline_mode() and command is None:
        raise ConfigError(
            "alembic --sql cannot see the application's tables", mend="run: changecapture install --sql URL"
        )
    if context.is_offline_mode():
        print_revisions(find_url())
    elif command is None:
        run_command(find_url())
    else:
        run_revisions(find_url(), command)


def find_url() -> DatabaseURL:
    """Return the URL of ``-x url=..``, or of the configuration's ``url`` attribute."""
    given = context.get_x_argument(as_dictionary=True).get("url")
    given = given or context.config.attributes.get("url")
    if not given:
        raise ConfigError("no database was named", mend="add: -x url=postgresql://user@host/database")
    return given if isinstance(given, DatabaseURL) else parse_url(str(given))


def run_command(url: DatabaseURL) -> None:
    """Run the revisions for Alembic's own command line; an upgrade ends with the convergence."""
    command = context.config.cmd_opts.cmd[0].__name__ if context.config.cmd_opts else ""
    given = context.get_x_argument(as_dictionary=True)
    profile, definer = given.get("profile"), given.get("definer")
    if definer not in (None, *DEFINERS):
        raise ConfigError(f"no such definer: {definer}", mend=f"one of: {', '.join(DEFINERS)}")
    if command == "upgrade":
        check(url, profile, definer)
    run_revisions(url, command)
    if command == "upgrade":
        converge(url, profile, definer=definer)


def run_revisions(url: DatabaseURL, command: str) -> None:
    """Run the revisions that Alembic chose; when none is left, leave nothing."""
    to_base = command == "downgrade" and context.get_revision_argument() is None
    store = open_store(url, installed=False)
    try:
        with store.mapped(), connect(store) as connection:
            configure(connection, store, command)
            if to_base:
                prepare_removal(url)
            with context.begin_transaction():
                context.run_migrations()
            connection.commit()
            if command == "downgrade" and not context.get_context().get_current_heads():
                connection.execute(text(remove_version(store)))
                connection.commit()
                forget(store)
    finally:
        store.close()


def forget(store: SqlStore) -> None:
    """Take the account of MySQL's triggers away, when no other database needs it."""
    if store.engine == "mysql":
        forget_account(store)


def prepare_removal(url: DatabaseURL) -> None:
    """Take the triggers off, unless what is installed is unknown here; say what is to be removed."""
    heads = context.get_context().get_current_heads()
    context.script.get_revisions(heads)
    release(url)
    if not heads:
        # An installation that was killed before it wrote its version.
        context.get_context().stamp(context.script, "head")


def connect(store: SqlStore) -> Connection:
    """Return SQLAlchemy's view of the store's connection."""
    if store.engine == "postgresql":
        # No longer than that does the application wait behind us for a table that is in use.
        store.execute("SET lock_timeout = '5s'")
        store.connection.autocommit = False
    engine = create_engine(DRIVERS[store.engine], creator=lambda: store.connection, poolclass=StaticPool)
    return engine.connect()


def configure(connection: Connection, store: SqlStore, command: str) -> None:
    """Make sure that the version table has a place, and say where it is."""
    schema = SCHEMAS[store.engine]
    if schema and command in WRITING:
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
        connection.commit()
    context.configure(
        connection=connection,
        version_table=VERSION_TABLE,
        version_table_schema=schema,
        transaction_per_migration=True,
    )


def remove_version(store: SqlStore) -> str:
    """Return the statement that takes the place of the version table away."""
    schema = SCHEMAS[store.engine]
    return f"DROP SCHEMA {schema} CASCADE" if schema else f"DROP TABLE IF EXISTS {VERSION_TABLE}"


def print_revisions(url: DatabaseURL) -> None:
    """Print the revisions as a script, for ``changecapture.script``."""
    context.configure(
        dialect_name=url.engine,
        version_table=VERSION_TABLE,
        version_table_schema=SCHEMAS[url.engine],
        transaction_per_migration=True,
    )
    printed = context.get_context().impl
    printed.command_terminator = TERMINATORS[url.engine]
    if SCHEMAS[url.engine] and context.get_starting_revision_argument() is None:
        printed.static_output(f"CREATE SCHEMA IF NOT EXISTS {SCHEMAS[url.engine]};")
    with context.begin_transaction():
        context.run_migrations()


try:
    run()
except ChangeCaptureError as error:
    if context.config.cmd_opts is None:
        raise
    raise CommandError(str(error)) from error

"""Alembic's environment: a version table of our own, and after an upgrade the convergence.

The application's own Alembic, if it has one, is not touched: PostgreSQL keeps our version in the schema
``changecapture``, MySQL in ``changecapture_version``.
"""

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL

from changecapture.config import DatabaseURL, parse_url
from changecapture.errors import ConfigError
from changecapture.install import converge

DRIVERS = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}


def find_url() -> DatabaseURL:
    """Return the URL of ``-x url=..``, or of the configuration's ``url`` attribute."""
    given = context.get_x_argument(as_dictionary=True).get("url")
    given = given or context.config.attributes.get("url")
    if not given:
        raise ConfigError("no database was named", mend="add: -x url=postgresql://user@host/database")
    return given if isinstance(given, DatabaseURL) else parse_url(str(given))


def run_online(url: DatabaseURL) -> None:
    """Run the revisions, then install what depends on the application's tables."""
    address = URL.create(
        DRIVERS[url.engine], url.user or None, url.password or None, url.host, url.port, url.database
    )
    engine = create_engine(address)
    with engine.connect() as connection:
        schema = prepare(connection, url)
        context.configure(
            connection=connection,
            version_table="changecapture_version",
            version_table_schema=schema,
            transaction_per_migration=True,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
        upgraded = context.get_context().get_current_revision() is not None
        connection.rollback()
        if not upgraded and schema:
            connection.execute(text("DROP SCHEMA IF EXISTS changecapture CASCADE"))
            connection.commit()
        if not upgraded and not schema:
            connection.execute(text("DROP TABLE IF EXISTS changecapture_version"))
            connection.commit()
    engine.dispose()
    if upgraded and not context.config.attributes.get("fixed_only"):
        converge(url, context.get_x_argument(as_dictionary=True).get("profile"))


def prepare(connection: Connection, url: DatabaseURL) -> str | None:
    """Make sure that the version table has a place; return its schema."""
    if url.engine != "postgresql":
        return None
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS changecapture"))
    connection.commit()
    return "changecapture"


if context.is_offline_mode():
    raise ConfigError(
        "alembic --sql cannot see the application's tables", mend="run: changecapture install --sql URL"
    )
run_online(find_url())

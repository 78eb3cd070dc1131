"""Script: what an installation would do to a database, as text for ``psql`` or ``mariadb``.

For sites where a DBA reads and runs all that changes a schema. It holds what is missing now: everything
where nothing is installed, nothing where all is as wanted. After it has run, ``install`` finds only rows
to backfill. Each part is a short transaction, as in ``install``; a script that stopped is not run again: the
next one is printed, which holds what is left.
"""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO

from changecapture import __version__
from changecapture.catchup import check_mapping
from changecapture.config import DatabaseURL
from changecapture.install import alembic_config, alembic_errors
from changecapture.renames import check_names
from changecapture.steps import Step, list_steps, read_schema
from changecapture.store import open_store
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import DIALECTS, Wanted, find_definer, find_profile, find_wanted, is_there

COMMANDS = {
    "postgresql": "psql -v ON_ERROR_STOP=1 -f FILE",
    "mysql": "mariadb < FILE",
}
ENDS = {"postgresql": ";", "mysql": "\n$$"}
"""What ends a statement. MySQL's client would end a trigger at its first semicolon."""


def write_script(
    url: DatabaseURL,
    profile: str | None = None,
    definer: str | None = None,
    mapping: str | None = None,
    *,
    new_keys: bool = False,
) -> Iterator[str]:
    """Yield the script, part by part; it changes nothing itself.

    A mapping is no part of the schema: the ``install`` that the script asks for at its end writes it.
    """
    store = open_store(url, installed=False)
    try:
        wanted = find_wanted(store, profile, definer)
        if not new_keys:
            check_names(store, wanted)
        if mapping is not None:
            check_mapping(mapping, {table.wire for table in wanted.tables}, str(url))
        yield _write_head(store, wanted.profile, mapping)
        yield _write_revisions(store)
        yield _write_site(store, wanted)
        for step in list_steps(store, wanted):
            yield _write_step(store, step)
        yield "-- The end.\n"
    finally:
        store.close()


def _write_head(store: SqlStore, profile: str, mapping: str | None) -> str:
    end_with = "install URL`: it only captures the rows that are there"
    if mapping is not None:
        end_with = f"install URL --mapping {shlex.quote(mapping)}`: it writes that, and captures the rows"
    dialect = DIALECTS[store.engine]
    url, end = store.url, ENDS[store.engine]
    lines = [
        f"-- changecapture {__version__}: install in {url}, profile {profile}",
        f"-- Printed {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, to be run there as the owner of the tables:",
        f"--   {COMMANDS[store.engine]}",
        "-- If it stops, mend the cause and print it again: it then holds what is left.",
        f"-- At the end run `changecapture {end_with}.",
    ]
    if store.engine == "mysql":
        lines.append("DELIMITER $$")
    lines += [f"{statement}{end}" for statement in dialect.session_settings(read_schema(store))]
    return "\n".join(lines) + "\n"


def _write_revisions(store: SqlStore) -> str:
    """Return what Alembic would do to the fixed objects."""
    from alembic import command

    config = alembic_config(store.url, "upgrade")
    config.output_buffer = printed = StringIO()
    known = _read_revision(store)
    with alembic_errors(store.url):
        command.upgrade(config, f"{known}:head" if known else "head", sql=True)
    # A migration that was killed before it wrote its version leaves the table behind.
    return printed.getvalue().replace("CREATE TABLE changecap", "CREATE TABLE IF NOT EXISTS changecap")


def _read_revision(store: SqlStore) -> str | None:
    table = DIALECTS[store.engine].VERSION_TABLE
    if not is_there(store, table):
        return None
    rows = store.query(f"SELECT version_num FROM {store.prefix}{table}")
    return str(rows[0][0]) if rows else None


def _write_site(store: SqlStore, wanted: Wanted) -> str:
    dialect, end = DIALECTS[store.engine], ENDS[store.engine]
    known, name, definer = find_profile(store), dialect.literal(wanted.profile), wanted.definer
    if (known, find_definer(store)) == (wanted.profile, definer):
        return ""
    if known is not None:
        return f"UPDATE {store.prefix}site SET profile = {name}, definer = '{definer}'{end}\n\n"
    # Named where it runs: the same script on two databases makes two sites.
    values = f"1, {dialect.NEW_ORIGIN}, 1, 0, 0, {name}, '{definer}', {dialect.NOW}"
    return f"INSERT INTO {store.prefix}site VALUES ({values}){end}\n\n"


def _write_step(store: SqlStore, step: Step) -> str:
    statements = list(step.statements)
    if store.engine == "postgresql":
        statements = [*step.before, "BEGIN", *statements, "COMMIT"]
    text = "\n\n".join(f"{statement}{ENDS[store.engine]}" for statement in statements)
    return f"-- {step.table}\n{text}\n\n"

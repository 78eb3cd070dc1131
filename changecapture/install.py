"""Install: the per-table objects, made to be what the plan wants (a convergence, not a history).

Wanted: for each synced table its triggers, named with a fingerprint of their text. Found: the triggers
of ours that the database has. What is missing is created, then what is not wanted is dropped, so that no
write is lost in between (a change that both capture becomes one entry). Each table is a short
transaction of its own on PostgreSQL; on MySQL every statement commits, and a second run mends a killed
one. Running it again changes nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from uuid import uuid4

from alembic import command
from alembic.config import Config

from changecapture.config import DatabaseURL
from changecapture.core.table import SyncedTable
from changecapture.dialect import Capture
from changecapture.dialect import mysql as mysql_dialect
from changecapture.dialect import postgresql as postgresql_dialect
from changecapture.errors import ConfigError
from changecapture.plan import plan
from changecapture.profiles import choose_profile
from changecapture.publish import publish
from changecapture.sql import fill, read_statements
from changecapture.store import open_store
from changecapture.store.sqlstore import SqlStore

DIALECTS: dict[str, ModuleType] = {
    "postgresql": postgresql_dialect,
    "mysql": mysql_dialect,
}
BACKFILL_BATCH = 1000
"""Rows that a backfill captures at once: the application's inserts wait for no longer than that."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much in all."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One table as it should be installed."""

    table_id: int
    table: SyncedTable
    capture: Capture


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did."""

    profile: str
    tables: int
    created: int
    dropped: int


def migrate(url: DatabaseURL, revision: str = "head") -> None:
    """Bring the fixed objects to a revision (``head``, or ``base`` to take everything away)."""
    import migrations

    config = Config(str(Path(migrations.__file__).parent / "alembic.ini"))
    config.attributes["url"] = url
    config.attributes["fixed_only"] = True
    if revision == "base":
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)


def converge(
    url: DatabaseURL,
    profile: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Installed:
    """Install what depends on the application's tables; return what changed.

    ``profile`` is a profile's name, a file, ``auto``, or None for the one that was installed before.
    """
    store = open_store(url, installed=False)
    try:
        name, synced = _plan(store, profile or _known_profile(store) or "auto")
        if not synced:
            raise ConfigError(
                f"the profile {name} syncs no table of {url.database}",
                mend="look at: changecapture plan URL",
            )
        _write_site(store, name)
        found = _find_triggers(store)
        with store.lock():
            wanted = _want(store, synced)
            created, dropped = _converge_tables(store, wanted, found, progress)
        store.load_tables()
        _backfill(store, progress)
    finally:
        store.close()
    return Installed(name, len(synced), created, dropped)


def script(url: DatabaseURL, profile: str) -> Iterator[str]:
    """Yield the statements that an installation would run, for a DBA to read and to run."""
    from migrations.frozen import read_frozen

    store = open_store(url, installed=False)
    try:
        name, synced = _plan(store, profile)
        dialect = DIALECTS[store.engine]
        yield from read_frozen("0001", store.engine, "up")
        yield (
            f"CREATE TABLE IF NOT EXISTS {dialect.PREFIX}{_version_table(store)} "
            "(version_num varchar(32) NOT NULL PRIMARY KEY)"
        )
        yield f"INSERT INTO {dialect.PREFIX}{_version_table(store)} VALUES ('0001')"
        yield (
            f"INSERT INTO {dialect.PREFIX}site VALUES (1, '{uuid4().hex}', 1, 0, 0, "
            f"{dialect.literal(name)}, {dialect.NOW})"
        )
        for table_id, table in enumerate(sorted(synced, key=lambda t: t.name), start=1):
            capture = dialect.render_capture(table, table_id, _schema(store))
            yield (
                f"INSERT INTO {dialect.PREFIX}synced_table "
                "(table_id, table_name, scope, definition, active, backfilled) VALUES "
                f"({table_id}, {dialect.literal(table.name)}, {dialect.literal(table.scope)}, "
                f"{dialect.literal(table.to_json())}, 1, 0)"
            )
            yield from capture.functions.values()
            yield from capture.triggers.values()
            yield from capture.history
            yield from _index_statements(store, table)
    finally:
        store.close()


def _plan(store: SqlStore, profile: str) -> tuple[str, list[SyncedTable]]:
    catalogue = store.read_catalogue()
    chosen = choose_profile(profile, catalogue)
    decisions = plan(catalogue, chosen)
    return chosen.name, [d.definition for d in decisions if d.definition is not None]


def _version_table(store: SqlStore) -> str:
    return "changecapture_version" if store.engine == "postgresql" else "version"


def _known_profile(store: SqlStore) -> str | None:
    rows = store.query(f"SELECT profile FROM {store.prefix}site")
    return str(rows[0][0]) if rows else None


def _write_site(store: SqlStore, profile: str) -> None:
    if _known_profile(store) is None:
        store.execute(
            f"INSERT INTO {store.prefix}site VALUES (1, %s, 1, 0, 0, %s, %s)",
            (uuid4().hex, profile, store.read_clock()),
        )
    else:
        store.execute(f"UPDATE {store.prefix}site SET profile = %s", (profile,))


def _schema(store: SqlStore) -> str:
    if store.engine == "postgresql":
        return str(store.query("SELECT current_schema()")[0][0])
    return store.url.database


def _want(store: SqlStore, synced: Sequence[SyncedTable]) -> list[Wanted]:
    """Give each table its number, once and for all, and render its capture."""
    rows = store.query(f"SELECT table_name, table_id FROM {store.prefix}synced_table")
    numbers = {str(name): int(table_id) for name, table_id in rows}
    following = max(numbers.values(), default=0) + 1
    dialect, schema = DIALECTS[store.engine], _schema(store)
    wanted: list[Wanted] = []
    for table in sorted(synced, key=lambda table: table.name):
        table_id = numbers.get(table.name, following)
        following = max(following, table_id + 1)
        wanted.append(Wanted(table_id, table, dialect.render_capture(table, table_id, schema)))
    return wanted


def _find_triggers(store: SqlStore) -> dict[str, str]:
    """Return {trigger of ours: its table}."""
    dialect = DIALECTS[store.engine]
    pattern = dialect.TRIGGER_PREFIX.replace("_", "\\_") + "%"
    if store.engine == "postgresql":
        rows = store.query(
            "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgname LIKE %s "
            "AND c.relnamespace = current_schema()::regnamespace",
            (pattern,),
        )
    else:
        rows = store.query(
            "SELECT trigger_name, event_object_table FROM information_schema.triggers "
            "WHERE trigger_schema = DATABASE() AND trigger_name LIKE %s",
            (pattern,),
        )
    return {str(trigger): str(table) for trigger, table in rows}


def _converge_tables(
    store: SqlStore, wanted: Sequence[Wanted], found: dict[str, str], progress: Progress
) -> tuple[int, int]:
    created = dropped = 0
    installed = _read_installed(store)
    for done, item in enumerate(wanted):
        progress("tables", done, len(wanted))
        stale = {
            trigger
            for trigger, table in found.items()
            if table == item.table.name and trigger not in item.capture.triggers
        }
        missing = [name for name in item.capture.triggers if name not in found]
        if missing or stale or installed.get(item.table_id) != item.table.to_json():
            _converge_table(store, item, missing, stale)
        created, dropped = created + len(missing), dropped + len(stale)
    progress("tables", len(wanted), len(wanted))
    names = {item.table.name for item in wanted}
    for trigger, table in found.items():
        if table not in names:
            _drop_trigger(store, trigger, table)
            dropped += 1
    _retire(store, {item.table_id for item in wanted})
    return created, dropped


def _read_installed(store: SqlStore) -> dict[int, str]:
    rows = store.query(f"SELECT table_id, definition FROM {store.prefix}synced_table WHERE active = 1")
    return {int(table_id): str(definition) for table_id, definition in rows}


def _converge_table(store: SqlStore, item: Wanted, missing: Sequence[str], stale: set[str]) -> None:
    transactional = store.engine == "postgresql"
    if transactional:
        store.execute("BEGIN")
        store.execute("SET LOCAL lock_timeout = '5s'")
    try:
        store.execute_many(
            f"DELETE FROM {store.prefix}synced_table WHERE table_id = %s AND active = 0",
            [(item.table_id,)],
        )
        _register(store, item)
        for statement in item.capture.functions.values():
            store.execute(statement)
        for name in missing:
            store.execute(item.capture.triggers[name])
        for name in stale:
            _drop_trigger(store, name, item.table.name)
        _replace_history(store, item)
        for statement in _index_statements(store, item.table):
            if not _has_index(store, _index_name(item.table)):
                store.execute(statement)
        if transactional:
            store.execute("COMMIT")
    except BaseException:
        if transactional:
            store.execute("ROLLBACK")
        raise


def _register(store: SqlStore, item: Wanted) -> None:
    known = store.query(f"SELECT 1 FROM {store.prefix}synced_table WHERE table_id = %s", (item.table_id,))
    if known:
        store.execute(
            f"UPDATE {store.prefix}synced_table SET scope = %s, definition = %s, active = 1 "
            "WHERE table_id = %s",
            (item.table.scope, item.table.to_json(), item.table_id),
        )
    else:
        store.execute(
            f"INSERT INTO {store.prefix}synced_table "
            "(table_id, table_name, scope, definition, active, backfilled) "
            "VALUES (%s, %s, %s, %s, 1, 0)",
            (item.table_id, item.table.name, item.table.scope, item.table.to_json()),
        )


def _replace_history(store: SqlStore, item: Wanted) -> None:
    remove = read_statements("triggers", f"{store.engine}/remove.sql")
    store.execute(fill(remove["drop_view"], view=item.capture.history_view))
    if store.engine == "postgresql":
        rows = item.capture.history_view.removesuffix('"') + '_rows"'
        store.execute(fill(remove["drop_function"], function=rows))
    for statement in item.capture.history:
        store.execute(statement)


def _drop_trigger(store: SqlStore, trigger: str, table: str) -> None:
    dialect = DIALECTS[store.engine]
    remove = read_statements("triggers", f"{store.engine}/remove.sql")
    holes = {"trigger": dialect.quote(trigger)}
    if store.engine == "postgresql":
        holes["table"] = f"{dialect.quote(_schema(store))}.{dialect.quote(table)}"
    store.execute(fill(remove["drop_trigger"], **holes))
    if store.engine == "postgresql":
        name = trigger.removeprefix(dialect.TRIGGER_PREFIX)
        function = f"changecapture.{dialect.quote(f'capture_{name}')}"
        store.execute(fill(remove["drop_function"], function=function))


def _retire(store: SqlStore, wanted: set[int]) -> None:
    """Tables that left the plan keep their definition: what was captured of them is published."""
    rows = store.query(f"SELECT table_id FROM {store.prefix}synced_table WHERE active = 1")
    gone = [(table_id,) for (table_id,) in rows if table_id not in wanted]
    store.execute_many(f"UPDATE {store.prefix}synced_table SET active = 0 WHERE table_id = %s", gone)


def _index_name(table: SyncedTable) -> str:
    return f"changecapture_{table.name}"[:63]


def _index_statements(store: SqlStore, table: SyncedTable) -> list[str]:
    """Return the index that an identity without one gets."""
    if table.identity.indexed or not table.identity.columns:
        return []
    dialect = DIALECTS[store.engine]
    columns = ", ".join(dialect.quote(column.name) for column in table.identity.columns)
    name = dialect.quote(_index_name(table))
    return [f"CREATE INDEX {name} ON {dialect.quote(table.name)} ({columns})"]


def _has_index(store: SqlStore, name: str) -> bool:
    if store.engine == "postgresql":
        sql = "SELECT 1 FROM pg_indexes WHERE schemaname = current_schema() AND indexname = %s"
    else:
        sql = (
            "SELECT 1 FROM information_schema.statistics "
            "WHERE table_schema = DATABASE() AND index_name = %s LIMIT 1"
        )
    return bool(store.query(sql, (name,)))


def _backfill(store: SqlStore, progress: Progress) -> None:
    """Capture and publish the rows from before the installation; a second run goes on where it was."""
    rows = store.query(
        f"SELECT table_id, backfill_key FROM {store.prefix}synced_table "
        "WHERE active = 1 AND backfilled = 0 ORDER BY table_id"
    )
    for done, (table_id, key) in enumerate(rows):
        progress("rows", done, len(rows))
        table = store.tables[table_id]
        while (key := _backfill_batch(store, table_id, table, key)) is not None:
            while publish(store):
                pass
        store.execute(
            f"UPDATE {store.prefix}synced_table SET backfilled = 1, backfill_key = NULL WHERE table_id = %s",
            (table_id,),
        )
    progress("rows", len(rows), len(rows))


def _backfill_batch(store: SqlStore, table_id: int, table: SyncedTable, after: str | None) -> str | None:
    """Capture the next rows in the order of the locator; return the last one's local key."""
    texts = store.read_local_keys_after(table, after, BACKFILL_BATCH)
    if not texts:
        return None
    with store.snapshot():
        store.capture_rows(table, texts)
        store.execute(
            f"UPDATE {store.prefix}synced_table SET backfill_key = %s WHERE table_id = %s",
            (texts[-1], table_id),
        )
    return texts[-1]

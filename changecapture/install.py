"""Install: the fixed objects by Alembic, then what depends on the application's tables.

The second is a convergence, not a history (``steps``): each table is a short transaction of its own on
PostgreSQL; on MySQL every statement commits, and a second run mends a killed one. Rows from before the
installation are captured and published like any change. Where the application had changed a table, or
capture had failed, what was written unseen is found by comparing (``reconcile``). Running it again changes
nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from changecapture import account
from changecapture.apply import drain
from changecapture.catchup import check_mapping, park_carried, show_carried, write_mapping
from changecapture.config import DatabaseURL
from changecapture.core.change import BACKFILL
from changecapture.core.codec import KEY_LENGTH
from changecapture.core.pages import walk
from changecapture.errors import ConfigError
from changecapture.faults import explain, isolate
from changecapture.reconcile import reconcile
from changecapture.renames import check_names
from changecapture.rights import check_rights
from changecapture.steps import Step, has_traces, list_steps
from changecapture.store import open_store
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import (
    DIALECTS,
    Wanted,
    find_definer,
    find_nothing,
    find_profile,
    find_wanted,
    is_there,
)

if TYPE_CHECKING:
    from alembic.config import Config

BACKFILL_BATCH = 1000
"""Rows that a backfill captures at once: the application's inserts wait for no longer than that."""

INDEX_SECONDS = 60
"""How long an index waits for each transaction that was open when it was begun."""

Progress = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much in all."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installation did: triggers created and dropped, rows captured from before it, rows found that
    were written unseen since the one before."""

    profile: str
    tables: int
    created: int
    dropped: int
    rows: int
    found: int


def ignore_progress(what: str, done: int, total: int) -> None:
    """Report to nobody."""


def install(
    url: DatabaseURL,
    profile: str | None = None,
    progress: Progress = ignore_progress,
    *,
    definer: str | None = None,
    mapping: str | None = None,
    new_keys: bool = False,
) -> Installed:
    """Install all that is missing; what is refused is refused before anything is changed.

    ``new_keys``: rows may get other names at every site, see ``renames``.
    """
    check(url, profile, definer, mapping, new_keys=new_keys)
    migrate(url)
    return converge(url, profile, progress, definer=definer, mapping=mapping)


def check(
    url: DatabaseURL,
    profile: str | None = None,
    definer: str | None = None,
    mapping: str | None = None,
    *,
    new_keys: bool = False,
) -> None:
    """Refuse what cannot be installed: no such profile, nothing to sync, a mapping of another application, a
    right that is missing, other names for the rows that are there."""
    store = open_store(url, installed=False)
    try:
        wanted = find_wanted(store, profile, definer)
        if not new_keys:
            check_names(store, wanted)
        if mapping is not None:
            check_mapping(mapping, {table.wire for table in wanted.tables}, str(url))
        if list_steps(store, wanted):
            # Where an administrator has run the script, anyone may capture the rows that are there.
            check_rights(store, wanted)
    finally:
        store.close()


def find_traces(url: DatabaseURL) -> bool:
    """Return whether anything of ours is in the database, be it half made or half removed."""
    store = open_store(url, installed=False)
    try:
        return has_traces(store)
    finally:
        store.close()


def sees_relay(url: DatabaseURL) -> bool:
    """Return whether a relay works with the database now."""
    store = open_store(url, installed=False)
    try:
        return store.sees_relay()
    finally:
        store.close()


def uninstall(url: DatabaseURL) -> list[str]:
    """Take everything of ours away: triggers first, then all that was captured and received.

    Return the accounts that had rights on it: they stay, as other databases may need them.
    """
    store = open_store(url, installed=False)
    try:
        given = account.list_given(store)
        with store.lock():
            migrate(url, "base")
    finally:
        store.close()
    return given


def migrate(url: DatabaseURL, revision: str = "head") -> None:
    """Bring the fixed objects to a revision (``head``, or ``base`` to take everything away)."""
    # Imported late: it takes longer than all the rest of a command.
    from alembic import command

    with alembic_errors(url):
        if revision == "base":
            command.downgrade(alembic_config(url, "downgrade"), revision)
        else:
            command.upgrade(alembic_config(url, "upgrade"), revision)


@contextmanager
def alembic_errors(url: DatabaseURL) -> Iterator[None]:
    """Make Alembic's own errors ours: it knows no revision like the one that is installed."""
    from alembic.util import CommandError

    try:
        yield
    except CommandError as error:
        raise ConfigError(
            f"what is installed in {url} is not of this version",
            why=str(error),
            mend="use the changecapture that installed it, or a newer one",
        ) from error


def alembic_config(url: DatabaseURL, command: str) -> "Config":
    """Return Alembic's configuration for the fixed objects of a database."""
    from alembic.config import Config

    import migrations

    config = Config(str(Path(migrations.__file__).parent / "alembic.ini"))
    config.attributes.update(url=url, command=command)
    return config


def find_revision(store: SqlStore) -> str | None:
    """Return the revision of the fixed objects that are installed, None when there is none."""
    table = DIALECTS[store.engine].VERSION_TABLE
    if not is_there(store, table):
        return None
    rows = store.query(f"SELECT version_num FROM {store.prefix}{table}")
    return str(rows[0][0]) if rows else None


def converge(
    url: DatabaseURL,
    profile: str | None = None,
    progress: Progress = ignore_progress,
    *,
    definer: str | None = None,
    mapping: str | None = None,
) -> Installed:
    """Install what depends on the application's tables; return what changed.

    ``profile`` is a profile's name, a file, ``auto``, or None for the one that was installed before;
    ``definer`` is a key of wanted.DEFINERS, or None likewise; ``mapping`` is a mapping's name or file,
    ``none``, or None likewise.
    """
    store = open_store(url, installed=False)
    try:
        wanted = find_wanted(store, profile, definer)
        _write_site(store, wanted)
        _run_before(store, list_steps(store, wanted), progress)
        with store.lock():
            steps = list_steps(store, wanted)
            if steps:
                # A relay reads the definitions again when it sees this, even after a kill half way.
                store.execute(f"UPDATE {store.prefix}site SET installed_at = %s", (store.read_clock(),))
            _run_steps(store, steps, progress)
        if mapping is not None:
            with store.lock():
                write_mapping(store, mapping)
        store.load_tables()
        rows = _backfill(store, progress)
        show_carried(store)
        found = _reconcile_missed(store, progress)
    finally:
        store.close()
    created, dropped = (sum(counts) for counts in ([s.created for s in steps], [s.dropped for s in steps]))
    return Installed(wanted.profile, len(wanted.tables), created, dropped, rows, found)


def release(url: DatabaseURL) -> None:
    """Take the triggers off the application's tables, one short transaction for each table."""
    store = open_store(url, installed=False)
    try:
        _run_steps(store, list_steps(store, find_nothing(store)), ignore_progress)
    finally:
        store.close()


def _write_site(store: SqlStore, wanted: Wanted) -> None:
    choices = (wanted.profile, wanted.definer)
    if find_profile(store) is None:
        store.execute(
            f"INSERT INTO {store.prefix}site VALUES (1, %s, 1, 0, 0, %s, %s, %s)",
            (uuid4().hex, *choices, store.read_clock()),
        )
    elif choices != (find_profile(store), find_definer(store)):
        store.execute(f"UPDATE {store.prefix}site SET profile = %s, definer = %s", choices)


def _run_steps(store: SqlStore, steps: list[Step], progress: Progress) -> None:
    for done, step in enumerate(steps):
        progress("tables installed", done, len(steps))
        with account.alone(store) if step.table == account.NAME else nullcontext():
            _run_step(store, step)
    progress("tables installed", len(steps), len(steps))


def _run_before(store: SqlStore, steps: list[Step], progress: Progress) -> None:
    """Run what stands in no transaction. Without the lock: who waits for it has a snapshot, and an index that
    is made beside the application's writes waits for all snapshots."""
    making = [step for step in steps if step.before]
    if not making:
        return
    store.execute(f"SET lock_timeout = '{INDEX_SECONDS}s'")
    for done, step in enumerate(making):
        progress("indexes made", done, len(making))
        for statement in step.before:
            store.execute(statement)
    store.execute("SET lock_timeout = 0")
    progress("indexes made", len(making), len(making))


def _run_step(store: SqlStore, step: Step) -> None:
    transactional = store.engine == "postgresql"
    if transactional:
        store.execute("BEGIN")
        store.execute("SET LOCAL lock_timeout = '5s'")
    try:
        for statement in step.statements:
            store.execute(statement)
        if transactional:
            store.execute("COMMIT")
    except BaseException:
        if transactional:
            store.execute("ROLLBACK")
        raise


def _backfill(store: SqlStore, progress: Progress) -> int:
    """Capture and publish the rows from before the installation; return how many.

    A second run goes on where the first was.
    """
    captured = 0
    rows = store.query(
        f"SELECT table_id, backfill_key FROM {store.prefix}synced_table WHERE active = 1 AND backfilled = 0"
    )
    # Parents first: at a peer nothing has to wait.
    rows.sort(key=lambda row: store.ranks[store.tables[row[0]].name])
    total = sum(_count_rows(store, table_id) for table_id, _ in rows)
    progress("rows backfilled", 0, total)
    for table_id, key in rows:
        if store.mapping is None or store.tables[table_id].wire not in store.mapping.local_tables:
            park_carried(store, store.tables[table_id])
        for texts in walk(partial(_backfill_batch, store, table_id), str, key, BACKFILL_BATCH):
            captured += len(texts)
            drain(store)
            progress("rows backfilled", min(captured, total), total)
        store.execute(
            f"UPDATE {store.prefix}synced_table SET backfilled = 1, backfill_key = NULL WHERE table_id = %s",
            (table_id,),
        )
    progress("rows backfilled", total, total)
    return captured


def _reconcile_missed(store: SqlStore, progress: Progress) -> int:
    """Find what went unseen in the tables of which something was missed; return how many rows that were."""
    rows = store.query(f"SELECT DISTINCT table_name FROM {store.prefix}missed")
    names = [str(name) for (name,) in rows if name in store.tables_by_name]
    return sum(found.total for found in reconcile(store, names, progress)) if names else 0


def _count_rows(store: SqlStore, table_id: int) -> int:
    name = DIALECTS[store.engine].quote(store.tables[table_id].name)
    return int(store.query(f"SELECT count(*) FROM {name}")[0][0])


def _backfill_batch(store: SqlStore, table_id: int, after: str | None, size: int) -> list[str]:
    """Capture the next rows in the order of the locator; return their local keys."""
    table = store.tables[table_id]

    def pass_by(text: str) -> None:
        store.execute(
            f"UPDATE {store.prefix}synced_table SET backfill_key = %s WHERE table_id = %s", (text, table_id)
        )

    def capture(part: Sequence[str]) -> None:
        with store.snapshot():
            store.capture_rows(table, part)
            pass_by(part[-1])

    def set_aside(text: str, error: Exception) -> None:
        with store.snapshot():
            why = f"{text[:KEY_LENGTH]} was not captured: {': '.join(explain(error))}"
            store.write_missed(table.name, BACKFILL, why)
            pass_by(text)

    texts = store.read_local_keys_after(table, after, size)
    if texts:
        isolate(texts, capture, set_aside)
    return texts

"""Sites in memory: what ``sites.Site`` is on a server, made in a tenth of a millisecond.

Each application's database is made once, with triggers, and copied. Nothing here is left to chance: a
site's name and its clock are given, so that a simulation with the same seed goes the same way.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from itertools import count
from pathlib import Path
from time import time_ns
from typing import Any

from changecapture.catchup import park_columns, show_carried, write_mapping
from changecapture.core.table import SyncedTable
from changecapture.dialect import memory as dialect
from changecapture.faults import concerns_row
from changecapture.memo import Memo, Remembered
from changecapture.pair import Made, introduce, pull_from
from changecapture.plan import definitions, plan
from changecapture.profiles import choose_profile
from changecapture.publish import publish
from changecapture.store.memory import MemoryStore
from changecapture.sync import PullRequest, answer
from tests.support.compare import SiteReader
from tests.support.family import Family
from tests.support.sites import AnySite

_names = count(1)


def wall_clock() -> int:
    """Return microseconds since 1970 UTC."""
    return time_ns() // 1000


class WatchedStore(MemoryStore):
    """Keeps what its transactions raise that the last net may catch (``changecapture.faults``): rows that are
    then written one by one come well out of it, and would hide a mistake of ours."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.caught: list[Exception] = []
        super().__init__(clock)

    @property
    def applies(self) -> bool:
        """Whether the applier's transaction is open."""
        return not self._capturing

    @property
    def depth(self) -> int:
        """How many savepoints of ours are open."""
        return self._savepoints

    @contextmanager
    def applying(self) -> Iterator[None]:
        """Begin a transaction of the applier."""
        with self._watching(), super().applying():
            yield

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Begin a transaction of the publisher."""
        with self._watching(), super().snapshot():
            yield

    @contextmanager
    def _watching(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if concerns_row(error):
                self.caught.append(error)
            raise


class MemorySite(AnySite):
    """One site; ``script`` makes its application's tables (``family.spell``), which a mapping may show."""

    prefix = dialect.PREFIX

    def __init__(
        self,
        script: str,
        profile: str = "generic",
        clock: Callable[[], int] = wall_clock,
        origin: str | None = None,
        mapping: str | None = None,
    ) -> None:
        self._script, self._profile, self._origin, self._mapping = script, profile, origin, mapping
        self._store = WatchedStore(clock)
        self._family = Family(MemoryConnection(self._store))
        self.clean()

    @property
    def store(self) -> WatchedStore:
        """The store of this site."""
        return self._store

    @property
    def family(self) -> Family:
        """The connection of the small application."""
        return self._family

    def set_aside(self) -> list[tuple[Any, ...]]:
        """Return what the last net caught, also where the rows went well one by one."""
        return [*super().set_aside(), *((repr(error),) for error in self._store.caught)]

    def fetch(self, query: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query on one of our own tables, written with {p} before its name."""
        return self._store.query(query.replace("{p}", self.prefix), parameters)

    def reader(self) -> AbstractContextManager[SiteReader]:
        """Give what reads the rows that the site shows."""
        return nullcontext(SiteReader(self._family.rows, self.prefix, '"'))

    def dump_tables(self) -> dict[str, set[tuple[Any, ...]]]:
        """Return what the application's tables hold."""
        names = [table.name for table in self._store.tables.values()]
        return {name: set(self._family.rows(f"SELECT * FROM {name}")) for name in names}

    def quote(self, name: str) -> str:
        """Return a quoted name."""
        return dialect.quote(name)

    def clean(self) -> None:
        """Begin anew: no rows, nothing captured, nothing known, another origin."""
        self.restore(_make_database(self._script, self._profile, self._mapping))
        origin = self._origin or f"site{next(_names)}"
        self._store.execute(f"UPDATE {self.prefix}site SET origin = %s", (origin,))

    def restore(self, data: bytes) -> None:
        """Become what ``store.dump`` gave."""
        self._store.restore(data)
        self._store.load_tables()

    def upgrade(self, change: str) -> None:
        """Let the application change its tables, and install again."""
        self._store.execute(change)
        install(self._store, self._profile)
        self._store.load_tables()
        show_carried(self._store)

    def close(self) -> None:
        """Close the connection."""
        self._store.close()


class MemoryConnection:
    """The application's connection, in the form of a driver's."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    @contextmanager
    def cursor(self) -> Iterator["MemoryCursor"]:
        """Give a cursor."""
        yield MemoryCursor(self._store)

    def close(self) -> None:
        """The store closes what there is to close."""


class MemoryCursor:
    """A cursor, in the form of a driver's."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._rows: list[tuple[Any, ...]] = []
        self.rowcount = -1

    def execute(self, sql: str, parameters: Sequence[Any] | None = None) -> None:
        """Run a statement."""
        if sql.lstrip().upper().startswith("SELECT"):
            self._rows = self._store.query(sql, parameters)
        else:
            self.rowcount = self._store.execute(sql, parameters)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return the rows."""
        return self._rows


class DirectSource:
    """A source of a pull that answers at once, in the caller's thread."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._made: Made | None = None

    def ask(self, request: PullRequest) -> None:
        """Make a batch."""
        while publish(self._store):
            pass
        self._made = Made(answer(self._store, request))

    def take(self) -> Made:
        """Return it."""
        assert self._made is not None
        return self._made


def pull(source: MemoryStore, target: MemoryStore) -> int:
    """Pull from one site into another until nothing is left; return how many entries were new."""
    introduce(source, target)
    return pull_from(DirectSource(source), source.read_site().origin, target, lambda received: None)


def install(store: MemoryStore, profile: str) -> None:
    """Make what an installation makes: definitions and triggers, as the catalogue and the profile want.

    Again after the application changed its tables: what is new is made, what has changed is made anew.
    """
    catalogue = store.read_catalogue()
    wanted = definitions(plan(catalogue, choose_profile(profile, catalogue)))
    rows = store.query(f"SELECT table_id, table_name, definition FROM {store.prefix}synced_table")
    known = {name: id_ for id_, name, _ in rows}
    before = {name: SyncedTable.from_json(text) for _, name, text in rows}
    for table in wanted:
        if table.name in before:
            new = {c.wire for c in table.columns} - {c.wire for c in before[table.name].columns}
            for statement in park_columns(store, table, new):
                store.execute(statement)
        table_id = known.setdefault(table.name, len(known) + 1)
        store._upsert(
            "synced_table",
            ("table_id",),
            ("table_name", "scope", "definition"),
            [(table_id, table.name, table.scope, table.to_json())],
        )
        for name, statement in dialect.render_capture(table, table_id).items():
            store.execute(f"DROP TRIGGER IF EXISTS {name}")
            store.execute(statement)
    store.execute(f"UPDATE {store.prefix}site SET installed_at = installed_at + 1")


class KeptMemo(Memo):
    """What a relay keeps outside the database, without a file."""

    def __init__(self, known: Remembered | None = None) -> None:
        super().__init__(Path("nowhere"))
        self._file = known

    def _read_file(self) -> Remembered | None:
        return self._file

    def _write_file(self, remembered: Remembered) -> None:
        self._file = remembered

    def reread(self) -> "KeptMemo":
        """Return the memo as a program that starts now reads it."""
        return KeptMemo(self._file)


@cache
def _make_database(script: str, profile: str, mapping: str | None = None) -> bytes:
    store = MemoryStore(wall_clock)
    for statement in (*dialect.fixed_objects(), *script.split(";")):
        store.execute(statement)
    store._load(
        "site",
        ("origin", "epoch", "last_number", "last_pass", "profile", "definer", "installed_at"),
        [("nobody", 1, 0, 0, profile, "account", 1)],
    )
    install(store, profile)
    if mapping is not None:
        write_mapping(store, mapping)
    return store.dump()

"""An application in memory that writes in the middle of a transaction of the applier, where it could.

A store in memory has one connection: what a server keeps apart by locks is told here by looking.
"""

import json
from collections.abc import Callable
from typing import Any

from tests.support.memory import MemorySite

Rows = dict[str, set[tuple[Any, ...]]]
TOUCHED = (
    "SELECT t.table_name, c.key, c.old_key FROM {p}captured c "
    "JOIN {p}synced_table t ON t.table_id = c.table_id WHERE c.id > %s"
)


class Beside:
    """Lets ``act`` happen once, before the n-th statement of the transactions in which a site applies.

    Not where a server would let it wait: what it touches is held, or of what it is about (``keys``) something
    was written already. What a savepoint of ours takes back is done once more: it was the application's.
    """

    def __init__(self, site: MemorySite, moment: int, act: Callable[[], None], keys: list[str]) -> None:
        self._site, self._store, self._act, self._keys = site, site.store, act, keys
        self._left: int | None = moment
        self._begun: Rows | None = None
        self._held: set[tuple[str, str]] = set()
        self._idle = True
        self._level = -1
        """How many savepoints of ours were open when it happened."""
        self._again = False

    @property
    def happened(self) -> bool:
        """Whether the application could act."""
        return self._level >= 0

    def __enter__(self) -> "Beside":
        self._hold, self._refer = self._store.hold_rows, self._store.refer_rows
        self._store.hold_rows = self._watch(self._hold)  # type: ignore[method-assign]
        self._store.refer_rows = self._watch(self._refer)  # type: ignore[method-assign]
        self._undisturbed, self._store.before = self._store.before, self._before
        return self

    def __exit__(self, *_: object) -> None:
        del self._store.hold_rows, self._store.refer_rows
        self._store.before = self._undisturbed

    def _watch(self, ask: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def hold(table: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
            self._idle = False
            found = ask(table, *arguments, **named)
            self._idle = True
            self._held |= {(table.wire, key) for key in found}
            return found

        return hold

    def _before(self, sql: str) -> None:
        self._store.before = self._undisturbed
        self._look(sql)
        self._store.before = self._before

    def _look(self, sql: str) -> None:
        if self._again:
            self._again = False
            self._act()
        if sql.startswith("ROLLBACK TO SAVEPOINT changecapture_"):
            self._again = int(sql.rpartition("_")[2]) <= self._level
        if not self._store.applies:
            self._begun = None
        elif self._idle and self._left is not None:
            if self._begun is None:
                self._begun, self._held = self._site.dump_tables(), set()
            self._left -= 1
            if self._left < 0:
                self._left = None
                self._try(self._store.depth - sql.startswith("SAVEPOINT"))

    def _try(self, level: int) -> None:
        now, begun = self._site.dump_tables(), self._begun or {}
        written = {value for name, rows in now.items() for row in rows ^ begun[name] for value in row}
        if not written.isdisjoint(self._keys):
            return
        ((last,),) = self._site.fetch("SELECT coalesce(max(id), 0) FROM {p}captured")
        self._store.execute("SAVEPOINT beside")
        self._act()
        if self._waits(self._site.fetch(TOUCHED, [last])):
            self._store.execute("ROLLBACK TO beside")
        else:
            self._level = level
        self._store.execute("RELEASE beside")

    def _waits(self, touched: list[tuple[Any, ...]]) -> bool:
        """Return whether a row is held that was touched, or one that these refer to."""
        names = {(table, text) for table, *keys in touched for key in keys if key for text in _spell(key)}
        held = {key for _, key in self._held}
        return not names.isdisjoint(self._held) or not held.isdisjoint(self._keys)


def _spell(local_key: str) -> set[str]:
    """Return how a row of that local key may be named: by its only column, or by all."""
    return {local_key, str(json.loads(local_key)[0])}

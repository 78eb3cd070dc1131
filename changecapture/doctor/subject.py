"""What is examined, and what is found: the words that all checks share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from changecapture.account import Rights, read_own_rights
from changecapture.core.table import SyncedTable
from changecapture.status import Status
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import Wanted

State = Literal["well", "note", "unseen", "mend"]
"""``note``: worth knowing; ``unseen``: could not be looked at; ``mend``: something to do."""
TRIGGER = "TRIGGER"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is the matter, why it matters, and what mends it: statements, or commands that begin with $."""

    what: str
    why: str
    mend: tuple[str, ...] = ()
    state: State = "mend"


@dataclass(frozen=True, slots=True)
class Subject:
    """A database under examination; ``role`` is the account that the relay has, None for the URL's own."""

    store: SqlStore
    role: str | None
    status: Status | None
    """None where nothing, or half of it, is installed."""
    wanted: Wanted | None
    """None where the plan says that nothing can be synced."""
    why_not: str
    """Why ``wanted`` is None."""

    @property
    def tables(self) -> Mapping[str, SyncedTable]:
        """Return the tables that are synced, or would be, by name."""
        if self.status is not None:
            return self.store.tables_by_name
        return {} if self.wanted is None else {table.name: table for table in self.wanted.tables}

    @property
    def own_rights(self) -> Rights:
        """Return what the account of the URL may; MySQL only."""
        return read_own_rights(self.store)

    @property
    def sees_triggers(self) -> bool:
        """Return whether triggers can be looked at: MySQL shows them to who may make some."""
        if self.store.engine == "postgresql":
            return True
        return self.own_rights.has(TRIGGER, self.store.url.database)


def unseen(what: str, needs: str) -> Problem:
    """Return that something could not be looked at."""
    return Problem(f"{what}: not looked at", f"it takes {needs}: examine as an administrator", (), "unseen")

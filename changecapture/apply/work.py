"""A row in an apply transaction, and how many rows are written at once or, where one cannot be, parked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from changecapture.core.change import Entry, Row, Version
from changecapture.core.merge import Decision
from changecapture.core.table import SyncedTable
from changecapture.errors import DataError, RetryLater, Unwritable
from changecapture.store.interface import Store

BUSY, REFERENCE = "busy", "reference"


class Parked(NamedTuple):
    """Why a row cannot be shown."""

    reason: str
    detail: str


class Waiting(NamedTuple):
    """A column whose reference waits for the row that it names."""

    column: str
    target_table: str
    target_key: str


@dataclass(slots=True)
class Work:
    """One row in one apply transaction. ``local_key`` is None while the row is absent."""

    table: SyncedTable
    row: Row
    fresh: list[Entry] = field(default_factory=list)
    version: Version | None = None
    local_key: str | None = None
    decision: Decision | None = None
    again: bool = False
    """True when the row must be settled from all its entries: it was parked, or is shown anew."""
    parked: Parked | None = None
    waiting: list[Waiting] = field(default_factory=list)
    inserted: bool = False
    members: Sequence[str] = ()
    """The keys that are this row, where several are."""
    double: list[tuple[str, str]] = field(default_factory=list)
    """(key, local key) of the rows here that are this one as well, under another of its keys."""
    misnamed: bool = False
    """True when the row here has another of its keys than the one that names it."""
    flagged: bool = False
    """True when the row is deleted, and is to be here all the same, flagged: a living row refers to it."""
    match: Row | None = None
    """The row here that is the same by the profile's natural key: to be joined with it."""
    stray: bool = False
    """True when the row is here and is to refer, as it must, to a row that is not: it leaves."""


def attempt(
    store: Store, works: Sequence[Work], write: Callable[[Sequence[Work]], None]
) -> dict[Row, Parked]:
    """Write the rows together; halve until each row that cannot be written stands alone, parked."""
    if not works:
        return {}
    try:
        with store.savepoint():
            write(works)
        return {}
    except DataError as error:
        parked = Parked(error.reason, str(error))
    except RetryLater as error:
        if ends_all(store, error):
            raise
        parked = Parked(BUSY, str(error))
    if len(works) == 1:
        return {works[0].row: parked}
    half = len(works) // 2
    return attempt(store, works[:half], write) | attempt(store, works[half:], write)


def ends_all(store: Store, error: Exception) -> bool:
    """Return whether an error is about no row: the disk is full, or the transaction is gone. All waits."""
    return isinstance(error, Unwritable) or not store.in_transaction()


def by_table(works: Iterable[Work]) -> list[tuple[SyncedTable, list[Work]]]:
    groups: dict[str, tuple[SyncedTable, list[Work]]] = {}
    for work in works:
        groups.setdefault(work.table.name, (work.table, []))[1].append(work)
    return list(groups.values())

"""A change on its way into the log: what one pass has learnt of one row."""

from dataclasses import dataclass, field
from typing import Any

from changecapture.core.change import (
    Row,
    Version,
)
from changecapture.core.table import SyncedTable


@dataclass(slots=True)
class Change:
    """What one pass has learnt of one row.

    ``columns``: wire name to local value, translated to canonical ones later. ``late``: canonical JSON
    object of further columns, from a late read; it and ``columns`` have no name in common.
    """

    table: SyncedTable
    row: Row
    local_key: str
    version: Version | None
    whole: bool = False
    alive: bool | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    late: str = "{}"
    captured_at: int = 0
    image: str | None = None
    announced: dict[str, Any] | None = None
    """The local values that a foreign key was to give to columns, empty when it was to delete the row."""
    doubted: set[str] = field(default_factory=set)
    """Columns whose values are believed if the row shows them: see find_refusable."""
    twice: set[str] = field(default_factory=set)
    """Columns that several updates of this pass wrote: what the row shows is taken. Where an application's
    trigger fires before ours and updates the row again, that is captured before what the statement wrote."""


def is_deleted(change: Change) -> bool:
    if change.alive is not None:
        return not change.alive
    return change.version is not None and not change.version.alive

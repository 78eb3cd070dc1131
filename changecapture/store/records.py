"""What the store keeps for the rest of the program: its records, as they go in and out of a store.

Times are microseconds since 1970 UTC, where nothing else is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from changecapture.core.change import Row
from changecapture.core.codec import PassName


@dataclass(frozen=True, slots=True)
class Site:
    """Who this site is. ``installed_at``: when the tables' definitions last changed, microseconds since
    1970 UTC."""

    origin: str
    epoch: int
    last_number: int
    last_pass: int
    profile: str
    installed_at: int


class LateRow(NamedTuple):
    """A row as it is now. ``text``: canonical JSON object of the columns that need no translation, among
    them the references whose keys the database could name.

    ``flag``: the application's deleted flag. ``values``: the other columns, by wire name, local values.
    """

    text: str
    flag: str | None
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pull from a peer has come. ``end`` is 0 when none is under way."""

    site: str
    epoch: int = 0
    position: int = 0
    end: int = 0
    target: str = "{}"
    contact_at: int = 0
    received: int = 0

    @property
    def peer(self) -> str:
        """Return the id of the peer: ``site`` also tells which modules were asked for, where not all were."""
        return self.site.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Met:
    """What is known of a peer from meeting it.

    ``mark``: the name of the log's stretch at the end of the last pull, '' when there was none. ``lives``:
    {epoch: when it was last met}. ``copied_at``: when it was seen that two of its lives go on beside each
    other.
    ``clock_offset``: microseconds that its clock is ahead of ours, give or take ``clock_error``, measured at
    ``clock_at``; None when it was not.
    """

    site: str
    mark: str = ""
    lives: Mapping[int, int] = field(default_factory=dict)
    copied_at: int | None = None
    clock_offset: int | None = None
    clock_error: int | None = None
    clock_at: int | None = None


@dataclass(frozen=True, slots=True)
class Compaction:
    """How far compaction has come: up to which position (``scanned``), the latest position that an entry
    was given up for (``reached``), when the present sweep over all positions began (``swept_at``)."""

    scanned: int = 0
    reached: int = 0
    swept_at: int = 0


class Place(NamedTuple):
    """Where an entry stands in the changelog, of which row it is, and how many characters it has."""

    position: int
    row: Row
    size: int


class Stamped(NamedTuple):
    """The stamp of an entry, and where it stands: a row, a position, a name, and whether it is applied."""

    row: Row
    position: int
    stamp: int
    name: PassName
    applied: bool


DONE = "done"
"""The outcome of an exchange that came to its end."""
Direction = Literal["in", "out"]


@dataclass(frozen=True, slots=True)
class Exchanged:
    """An exchange, as this end saw it. ``bytes``: of its payloads. Times are microseconds since 1970 UTC."""

    exchange: str
    peer: str
    direction: Direction
    entries: int
    bytes: int
    started_at: int
    ended_at: int
    outcome: str = DONE


@dataclass(frozen=True, slots=True)
class InStep:
    """That a peer and this site held the same in a direction, at a time in microseconds since 1970 UTC.

    "in": this site had all that the peer sends; "out": the peer had all that is sent to it, of this changelog
    up to ``position``.
    """

    peer: str
    direction: Direction
    at: int
    position: int = 0


@dataclass(frozen=True, slots=True)
class Instance:
    """What a peer says of itself, for people. ``shape``: digest of the tables and columns that it syncs."""

    base_uuid: str
    name: str
    owner: str
    contact: str
    url: str
    shape: str

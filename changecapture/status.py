"""Status: how a site stands, read in one snapshot, as data.

Counts of what waits (captured, parked, waiting rows, conflicts), what the site holds of every origin, and
when each peer was last heard of. Times are microseconds since 1970 UTC by the server's clock, ``now``
too, so that a difference of two is right whatever this machine's clock says.
"""

from dataclasses import dataclass

from changecapture.core.table import digest_shape
from changecapture.core.vector import Component, Vector
from changecapture.mapping import counted_tables
from changecapture.store.journal import Standing
from changecapture.store.records import Exchanged
from changecapture.store.review import Missed
from changecapture.store.sqlstore import SqlStore

LAST_EXCHANGES = 10
COPIED_US = 24 * 3_600_000_000
"""A copy that was not met for so long is no longer told of: it is gone, or has become a site of its own."""


@dataclass(frozen=True, slots=True)
class Held:
    """What the site holds of one origin and epoch: its last number, over all scopes."""

    origin: str
    epoch: int
    number: int


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A peer that was met. ``received`` counts entries.

    ``to_come``: positions of its log that the pull under way has still to go through. ``waiting``: entries
    here that it has not, as far as this site knows; those that it may not have are counted too.
    """

    site: str
    contact_at: int
    received: int
    pulling: bool
    """True while a pull is under way: what came of it is kept, and it will be gone on with."""
    clock_offset: int | None = None
    """Microseconds that its clock was ahead of ours when it was measured last, give or take clock_error."""
    clock_error: int | None = None
    clock_at: int | None = None
    to_come: int = 0
    waiting: int = 0
    received_all_at: int = 0
    """When this site last had all that the peer sends; 0: never known."""
    sent_all_at: int = 0
    """When the peer last had all that this site sends; 0: never known."""
    copied_at: int | None = None
    """When it was last seen, lately, that a copy of it is alive beside it."""

    @property
    def in_step(self) -> bool:
        """Return whether nothing is known to wait, in either direction."""
        met = self.received_all_at > 0 and self.sent_all_at > 0
        return met and not (self.pulling or self.to_come or self.waiting)


@dataclass(frozen=True, slots=True)
class InstanceStatus:
    """What a peer says of itself, as Sahana's sync_instance has it. ``sync_count``: exchanges that carried
    entries; ``last_update``: the end of the last one; ``alike``: it syncs the same tables and columns."""

    base_uuid: str
    name: str
    owner: str
    contact: str
    url: str
    last_update: int | None
    sync_count: int
    alike: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How a site stands."""

    database: str
    site: str
    epoch: int
    profile: str
    installed_at: int
    now: int
    tables: int
    to_backfill: int
    """Tables whose rows from before the installation are not all captured yet."""
    captured: int
    oldest_captured_at: int | None
    missed: tuple[Missed, ...]
    """What reconciliation has to find."""
    entries: int
    vector: dict[Component, int]
    parked: dict[str, int]
    """Rows that cannot be shown here, by reason."""
    waiting: int
    """References that wait for their row."""
    conflicts: int
    """Values that lost and that nobody has looked at."""
    deleted_rows: int
    """Images of deleted rows that are kept for people."""
    peers: tuple[PeerStatus, ...]
    instances: tuple[InstanceStatus, ...]
    exchanges: tuple[Exchanged, ...]
    """The last ones that carried entries or failed, the latest first."""
    copied_at: int | None = None
    """When a copy of this database was last met alive beside it, lately."""
    mapping: str | None = None
    """What tables of the application travel as rows of others, by the mapping's title; None: none do."""
    mapped_tables: int = 0
    shortened: int = 0
    """Texts that a column of theirs shows cut to its length."""
    twice_named: tuple[str, ...] = ()
    """Names that two sites gave to what differs, one of which lost: two people are shown as one."""

    @property
    def finished(self) -> bool:
        """Return whether the installation came to its end: backfilling begins when all tables are made."""
        return self.tables > 0 and not self.to_backfill

    @property
    def held(self) -> tuple[Held, ...]:
        """Return the vector by origin and epoch."""
        return sum_up(self.vector)


def sum_up(vector: Vector) -> tuple[Held, ...]:
    """Return a vector by origin and epoch."""
    numbers: dict[tuple[str, int], int] = {}
    for (origin, epoch, _), number in vector.items():
        numbers[origin, epoch] = max(number, numbers.get((origin, epoch), 0))
    return tuple(Held(*name, number) for name, number in sorted(numbers.items()))


def read_status(store: SqlStore, *, counted: bool = True) -> Status:
    """Return how the site stands; raise ConfigError when nothing is installed.

    ``counted``: whether tables that grow without bound are counted. Else ``entries`` is what the vector says,
    compacted ones included, and ``deleted_rows`` 0.
    """
    with store.snapshot():
        site = store.read_site()
        tables, to_backfill = store.count_tables()
        vector, lens, now = store.read_vector(), store.read_mapping(), store.read_clock()
        return Status(
            database=str(store.url),
            site=site.origin,
            epoch=site.epoch,
            profile=site.profile,
            installed_at=site.installed_at,
            now=now,
            tables=tables,
            to_backfill=to_backfill,
            captured=store.count_captured(),
            oldest_captured_at=store.find_oldest_captured(),
            missed=tuple(store.read_missed()),
            entries=store.count_entries() if counted else sum(held.number for held in sum_up(vector)),
            vector=vector,
            parked=store.count_reasons(),
            waiting=store.count_waiting(),
            conflicts=sum(store.count_conflicts_by_table().values()),
            deleted_rows=store.count_images() if counted else 0,
            peers=_read_peers(store, now),
            instances=_read_instances(store),
            exchanges=tuple(store.read_exchanges(LAST_EXCHANGES)),
            copied_at=_only_late(store.read_copied(), now),
            mapping=None if lens is None else lens.title,
            mapped_tables=0 if lens is None else len(lens.local_tables),
            shortened=store.count_shortened(),
            twice_named=tuple(store.read_twice_named(counted_tables())),
        )


def _only_late(copied_at: int | None, now: int) -> int | None:
    return copied_at if copied_at is not None and now - copied_at < COPIED_US else None


def _read_peers(store: SqlStore, now: int) -> tuple[PeerStatus, ...]:
    standings, pulls = store.read_in_step(), store.read_pulls()
    found = []
    for site in dict.fromkeys([*(pull.peer for pull in pulls), *standings]):
        met, standing = store.read_met(site), standings.get(site, Standing())
        own = [pull for pull in pulls if pull.peer == site]
        running = [pull for pull in own if pull.end > 0 and pull.contact_at >= standing.received_at]
        found.append(
            PeerStatus(
                site=site,
                contact_at=max(standing.received_at, standing.sent_at, *(pull.contact_at for pull in own), 0),
                received=sum(pull.received for pull in own),
                pulling=bool(running),
                clock_offset=met.clock_offset,
                clock_error=met.clock_error,
                clock_at=met.clock_at,
                to_come=sum(max(0, pull.end - pull.position) for pull in running),
                waiting=store.count_after(standing.sent_position, site) if standing.sent_at else 0,
                received_all_at=standing.received_at,
                sent_all_at=standing.sent_at,
                copied_at=_only_late(met.copied_at, now),
            )
        )
    return tuple(found)


def _read_instances(store: SqlStore) -> tuple[InstanceStatus, ...]:
    known = store.read_instances()
    if known:
        store.load_tables()
    own = digest_shape(store.tables.values()) if known else ""
    return tuple(
        InstanceStatus(
            k.instance.base_uuid,
            k.instance.name,
            k.instance.owner,
            k.instance.contact,
            k.instance.url,
            k.last_update,
            k.sync_count,
            k.instance.shape == own,
        )
        for k in known
    )

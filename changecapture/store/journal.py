"""The journal: what was exchanged with whom, and what peers say of themselves (Sahana's sync_instance).

An exchange is a pull or a push, from its beginning to the answer that had no more or to what broke it.
Both ends write it down, under one uuid, which its caller gives. Only what carried entries, or failed, is
worth a row; ``KEPT`` rows are kept, and none for longer than ``KEPT_DAYS``.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from changecapture.store.mapped import MappedStore
from changecapture.store.records import Exchanged, Instance, InStep

KEPT = 10_000
KEPT_DAYS = 30
DAY = 86_400_000_000
TEXT_LENGTH = 255
MOST_WAITING = 100_000
"""Further nobody counts."""

COLUMNS = ("exchange", "peer", "direction", "entries", "bytes", "started_at", "ended_at", "outcome")


@dataclass(frozen=True, slots=True)
class KnownInstance:
    """The same, and of the exchanges with it that carried entries: when the last ended, and how many."""

    instance: Instance
    last_update: int | None
    sync_count: int


@dataclass(frozen=True, slots=True)
class Standing:
    """When a peer and this site last held the same, each way (0: never known)."""

    received_at: int = 0
    sent_at: int = 0
    sent_position: int = 0


class JournalStore(MappedStore):
    """The part of a store that remembers exchanges and peers."""

    def write_exchanges(self, exchanges: Sequence[Exchanged]) -> None:
        """Append to the journal, and count for each peer."""
        rows = [(*astuple(e)[:-1], e.outcome[:TEXT_LENGTH]) for e in exchanges]
        self._load("exchange_log", COLUMNS, rows)
        carried: dict[str, list[int]] = defaultdict(list)
        for exchange in exchanges:
            if exchange.entries:
                carried[exchange.peer].append(exchange.ended_at)
        for peer, ends in carried.items():
            self.execute(
                f"UPDATE {self.prefix}sync_instance SET sync_count = sync_count + %s, last_update = %s "
                "WHERE base_uuid = %s",
                (len(ends), max(ends), peer),
            )

    def prune_exchanges(self) -> None:
        """Forget what is too old, or too much."""
        self.execute(
            f"DELETE FROM {self.prefix}exchange_log WHERE ended_at < %s",
            (self.read_clock() - KEPT_DAYS * DAY,),
        )
        last = self.query(f"SELECT max(id) FROM {self.prefix}exchange_log")[0][0]
        if last is not None:
            self.execute(f"DELETE FROM {self.prefix}exchange_log WHERE id <= %s", (int(last) - KEPT,))

    def read_exchanges(self, limit: int) -> list[Exchanged]:
        """Return the last exchanges, the latest first."""
        rows = self.query(
            f"SELECT {', '.join(COLUMNS)} FROM {self.prefix}exchange_log ORDER BY id DESC LIMIT {limit}"
        )
        return [Exchanged(*row) for row in rows]

    def read_exchanges_since(self, at: int) -> list[Exchanged]:
        """Return the exchanges that ended after a time, in the order in which they were written down."""
        sql = f"SELECT {', '.join(COLUMNS)} FROM {self.prefix}exchange_log WHERE ended_at > %s ORDER BY id"
        return [Exchanged(*row) for row in self.query(sql, (at,))]

    def write_in_step(self, found: Sequence[InStep]) -> None:
        """Keep who was in step."""
        received = [(step.peer, step.at) for step in found if step.direction == "in"]
        sent = [(step.peer, step.at, step.position) for step in found if step.direction == "out"]
        if received:
            self._upsert("in_step", ("site",), ("received_at",), received)
        if sent:
            self._upsert("in_step", ("site",), ("sent_at", "sent_position"), sent)

    def read_in_step(self) -> dict[str, Standing]:
        """Return how it stands with each peer."""
        rows = self.query(f"SELECT site, received_at, sent_at, sent_position FROM {self.prefix}in_step")
        return {site: Standing(*map(int, known)) for site, *known in rows}

    def count_after(self, position: int, peer: str) -> int:
        """Return how many entries came after a position, those of a peer left out; up to MOST_WAITING."""
        sql = (
            f"SELECT count(*) FROM (SELECT 1 AS one FROM {self.prefix}changelog "
            f"WHERE position > %s AND origin <> %s LIMIT {MOST_WAITING}) AS waiting"
        )
        return int(self.query(sql, (position, peer))[0][0])

    def write_instance(self, instance: Instance) -> None:
        """Keep what a peer says of itself."""
        names = ("name", "owner", "contact", "url", "shape")
        self._upsert("sync_instance", ("base_uuid",), names, [astuple(instance)])

    def read_instances(self) -> list[KnownInstance]:
        """Return what all peers say of themselves, in order of their uuid."""
        rows = self.query(
            "SELECT base_uuid, name, owner, contact, url, shape, last_update, sync_count "
            f"FROM {self.prefix}sync_instance ORDER BY base_uuid"
        )
        return [KnownInstance(Instance(*row[:6]), row[6], int(row[7])) for row in rows]

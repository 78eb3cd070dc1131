"""What a store keeps of the lives of sites: epochs, names that were given twice, marks, what was shipped."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from changecapture.core.change import Entry, Row
from changecapture.core.codec import PassName
from changecapture.memo import Memo
from changecapture.store.journal import JournalStore
from changecapture.store.log import ENTRY
from changecapture.store.records import Met, Stamped

SENT, CORRECTED = "shipped", "corrected"


class LifeStore(JournalStore):
    """The part of a store that tells one life of a site from another."""

    memo: Memo | None = None

    # Names
    def begin_epoch(self, origin: str, epoch: int) -> None:
        """From now on names are given in this epoch, from 1."""
        self.execute(
            f"UPDATE {self.prefix}site SET origin = %s, epoch = %s, last_number = 0, last_pass = 0",
            (origin, epoch),
        )
        self.write_life(epoch, shipped=0, corrected=0)

    def lower_vector(self, origin: str, epoch: int, number: int) -> None:
        """Claim no more of an origin's epoch than up to a number."""
        self.execute(
            f"UPDATE {self.prefix}vector SET number = %s WHERE origin = %s AND epoch = %s AND number > %s",
            (number, origin, epoch, number),
        )

    def read_named(self, names: Iterable[PassName]) -> dict[PassName, Entry]:
        """Return the entries of these names that are in the changelog."""
        found: dict[PassName, Entry] = {}
        for origin, epoch, number in names:
            rows = self.query(
                f"SELECT {ENTRY} FROM {self.prefix}changelog "
                "WHERE origin = %s AND epoch = %s AND number = %s",
                (origin, epoch, number),
            )
            found.update(((origin, epoch, number), Entry(*row)) for row in rows)
        return found

    def read_numbered(self, origin: str, epoch: int, after: int, limit: int) -> list[Entry]:
        """Return entries of an origin and epoch, in order of their numbers, above a number."""
        rows = self.query(
            f"SELECT {ENTRY} FROM {self.prefix}changelog "
            f"WHERE origin = %s AND epoch = %s AND number > %s ORDER BY number LIMIT {limit}",
            (origin, epoch, after),
        )
        return [Entry(*row) for row in rows]

    def read_last_named(self, origin: str, epoch: int, upto: int) -> Entry | None:
        """Return the entry of the greatest number, up to a number, that is in the changelog."""
        rows = self.query(
            f"SELECT {ENTRY} FROM {self.prefix}changelog "
            "WHERE origin = %s AND epoch = %s AND number <= %s ORDER BY number DESC LIMIT 1",
            (origin, epoch, upto),
        )
        return Entry(*rows[0]) if rows else None

    def read_last_numbers(self, origin: str) -> dict[int, int]:
        """Return the greatest number of each epoch of an origin that is in the changelog."""
        found: dict[int, int] = {}
        before = 2**63 - 1
        while rows := self.query(
            f"SELECT epoch, number FROM {self.prefix}changelog WHERE origin = %s AND epoch < %s "
            "ORDER BY epoch DESC, number DESC LIMIT 1",
            (origin, before),
        ):
            before, number = rows[0]
            found[before] = number
        return found

    # Names that were given twice
    def read_contested(self, origin: str, epoch: int, numbers: Iterable[int]) -> set[tuple[int, str]]:
        """Return (number, digest) of what was published anew because its name was given twice."""
        wanted = sorted(set(numbers))
        if not wanted:
            return set()
        rows = self.query(
            f"SELECT number, digest FROM {self.prefix}contested "
            f"WHERE origin = %s AND epoch = %s AND number IN ({', '.join(['%s'] * len(wanted))})",
            (origin, epoch, *wanted),
        )
        return {(int(number), str(digest)) for number, digest in rows}

    def read_contested_epochs(self) -> dict[tuple[str, int], int]:
        """Return (origin, epoch) of names that were given twice by this database, and the last number."""
        rows = self.query(
            f"SELECT origin, epoch, max(number) FROM {self.prefix}contested GROUP BY origin, epoch"
        )
        return {(str(origin), int(epoch)): int(number) for origin, epoch, number in rows}

    def write_contested(self, digests: Mapping[PassName, str]) -> None:
        """Note what was published anew."""
        rows = [(*name, digest) for name, digest in digests.items()]
        self._load("contested", ("origin", "epoch", "number", "digest"), rows)

    # What may have left the site
    def read_life(self) -> dict[str, int]:
        """Return, of the present epoch, up to which number entries may have left the site (``shipped``),
        and up to which their stamps were corrected (``corrected``)."""
        rows = self.query(
            f"SELECT l.shipped, l.corrected FROM {self.prefix}life l "
            f"JOIN {self.prefix}site s ON s.epoch = l.epoch"
        )
        shipped, corrected = rows[0] if rows else (0, 0)
        return {SENT: int(shipped), CORRECTED: int(corrected)}

    def write_life(self, epoch: int, *, shipped: int, corrected: int) -> None:
        """Keep both."""
        self._upsert("life", ("one",), ("epoch", SENT, CORRECTED), [(1, epoch, shipped, corrected)])

    def make_life(self, epoch: int) -> None:
        """Begin to keep both for an epoch, if they are not kept."""
        if not self._has_life(epoch):
            with self.lock():
                if not self._has_life(epoch):
                    self.write_life(epoch, shipped=0, corrected=0)

    def hold_life(self) -> dict[str, int]:
        """Return both as ``read_life``, and let nobody change them before the transaction ends; its first
        statement."""
        self.execute(f"UPDATE {self.prefix}life SET corrected = corrected + 1")
        life = self.read_life()
        return {SENT: life[SENT], CORRECTED: life[CORRECTED] - 1}

    def ship_numbers(self, epoch: int, number: int, corrected: int) -> bool:
        """Note that entries up to a number may leave the site; return False when their stamps were
        corrected since they were read (``corrected``)."""
        self.make_life(epoch)
        sql = (
            f"UPDATE {self.prefix}life SET shipped = CASE WHEN shipped < %s THEN %s ELSE shipped END "
            "WHERE epoch = %s AND corrected = %s"
        )
        parameters = (number, number, epoch, corrected)
        return self.execute(sql, parameters) > 0

    def _has_life(self, epoch: int) -> bool:
        return bool(self.query(f"SELECT 1 FROM {self.prefix}life WHERE epoch = %s", (epoch,)))

    def read_copied(self) -> int | None:
        """Return when a copy of this database was last met alive."""
        rows = self.query(f"SELECT copied_at FROM {self.prefix}life")
        return rows[0][0] if rows else None

    def note_copied(self, at: int | None) -> None:
        """Note when a copy of this database was met alive; None when this site has another name by now."""
        self.make_life(self.query(f"SELECT epoch FROM {self.prefix}site")[0][0])
        self.execute(f"UPDATE {self.prefix}life SET copied_at = %s", (at,))

    # Meetings
    def read_met(self, site: str) -> Met:
        """Return what is known of a peer from meeting it."""
        rows = self.query(f"{self._select_met()} WHERE site = %s", (site,))
        return _met(rows[0]) if rows else Met(site)

    def read_clocks(self, after: int, upto: int) -> list[Met]:
        """Return the peers whose clocks were measured after a time and up to another."""
        sql = f"{self._select_met()} WHERE clock_at > %s AND clock_at <= %s ORDER BY site"
        return [_met(row) for row in self.query(sql, (after, upto))]

    def _select_met(self) -> str:
        return f"SELECT site, mark, lives, clock_offset, clock_error, clock_at FROM {self.prefix}meeting"

    def write_met(self, met: Met) -> None:
        """Keep what is known of a peer from meeting it."""
        columns = ("mark", "lives", "clock_offset", "clock_error", "clock_at")
        lives = json.dumps({"epochs": met.lives, "copied_at": met.copied_at})
        clock = met.clock_offset, met.clock_error, met.clock_at
        self._upsert("meeting", ("site",), columns, [(met.site, met.mark, lives, *clock)])

    # Stamps
    def read_stamps(self, rows: Collection[Row]) -> list[Stamped]:
        """Return the stamps of all entries of the rows."""
        select = (
            "SELECT table_name, row_key, position, stamp, origin, epoch, number, applied "
            f"FROM {self.prefix}changelog WHERE"
        )
        return [
            Stamped(Row(*row[:2]), row[2], row[3], (row[4], row[5], row[6]), bool(row[7]))
            for row in self._of_rows(select, rows)
        ]

    def write_stamps(self, stamps: Mapping[int, int]) -> None:
        """Give entries other stamps: {position: stamp}."""
        self.execute_many(
            f"UPDATE {self.prefix}changelog SET stamp = %s WHERE position = %s",
            [(stamp, position) for position, stamp in stamps.items()],
        )


def _met(row: tuple[Any, ...]) -> Met:
    site, mark, text, *clock = row
    lives = json.loads(text)
    epochs = {int(epoch): int(at) for epoch, at in lives["epochs"].items()}
    return Met(site, mark, epochs, lives["copied_at"], *clock)

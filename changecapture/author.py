"""The author of a pass: what this site says itself, as entries under the next of its names.

Whatever a site writes, a captured change, a decision, an import, a join, a program's change, is an entry
like any other: it has a name, a stamp later than what it was made from, ``base_seen`` of what its author had
merged, and the context of its pass. An entry that writes one column of a group carries the whole group
(``core.group``); a delete is written for each key that is known of the row (``core.alias``).

Names have no gap and are in the log in their order, else a vector would claim what is not there: so an author
lives under the writers' lock, and its names are kept in the transaction that writes its entries, before
anything else there is published. A program with a token has an origin of its own, whose names the vector
counts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from changecapture.core.change import ALIVE, Entry, Row, add_names
from changecapture.core.clock import next_stamp
from changecapture.core.codec import PassName
from changecapture.core.group import complete
from changecapture.core.merge import merge_entries
from changecapture.core.table import SyncedTable
from changecapture.core.values import dump
from changecapture.core.vector import Component, Vector, digest_vector, dump_vector
from changecapture.store.interface import Store


class Author:
    """One pass in the making. ``entries`` are what it says, ``number`` is the last that it has given."""

    def __init__(self, store: Store, client: str | None = None, seen: Vector | None = None) -> None:
        """Begin the next pass of this site, or of a client by its origin; ``seen``: how much of what the
        site holds its author had seen, all of it by itself."""
        site, vector = store.read_site(), store.read_vector()
        self._store = store
        self._client = client
        self.origin, self.epoch = client or site.origin, site.epoch
        own = self.origin, self.epoch
        if client is None:
            self.number, self.pass_number = site.last_number, site.last_pass + 1
        else:
            self.number = max((number for c, number in vector.items() if c[:2] == own), default=0)
            self.pass_number = self.number + 1
        seen = vector if seen is None else {c: min(n, vector.get(c, 0)) for c, n in seen.items()}
        self.context = {c: number for c, number in seen.items() if c[:2] != own}
        self.entries: list[Entry] = []
        self._said: dict[Row, list[Entry]] = defaultdict(list)

    def write(
        self, row: Row, scope: str, columns: str, *, stamp: int, base: int, keys: Sequence[str] = ()
    ) -> list[Entry]:
        """Write canonical columns of a row, under each of its keys or its own; return the entries.

        ``base``: what was seen of the row before.
        """
        made: list[Entry] = []
        for key in keys or (row.key,):
            self.number += 1
            names = self.origin, self.epoch, self.number, self.pass_number
            made.append(Entry(*names, stamp, add_names(base, made), scope, row.table, key, columns))
        self.entries += made
        return made

    def write_many(self, table: SyncedTable, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """Write rows of one table, each once: key, stamp, what was seen of it before, canonical columns."""
        origin, epoch, pass_number = self.origin, self.epoch, self.pass_number
        scope, wire = table.scope, table.wire
        self.entries += [
            Entry(origin, epoch, number, pass_number, stamp, base, scope, wire, key, columns)
            for number, (key, stamp, base, columns) in enumerate(rows, self.number + 1)
        ]
        self.number = self.entries[-1].number if self.entries else self.number

    def write_first(self, rows: Iterable[tuple[Row, str, int, str]]) -> None:
        """Write rows of any tables that nobody has heard of: row, scope, stamp and canonical columns."""
        origin, epoch, pass_number = self.origin, self.epoch, self.pass_number
        self.entries += [
            Entry(origin, epoch, number, pass_number, stamp, 0, scope, table, key, columns)
            for number, ((table, key), scope, stamp, columns) in enumerate(rows, self.number + 1)
        ]
        self.number = self.entries[-1].number if self.entries else self.number

    def said(self, row: Row) -> Sequence[Entry]:
        """Return what ``say`` has written of a row."""
        return self._said[row]

    def say(
        self,
        table: SyncedTable,
        row: Row,
        columns: Mapping[str, Any],
        *,
        stamp: int,
        base: int,
        known: Iterable[Entry],
        keys: Sequence[str] = (),
    ) -> list[Entry]:
        """Write columns of a row (by its name) as one who has merged ``known``, after what was said of it
        before in this pass; return the entries. ``keys``: those that it is said of, if not of all."""
        said = self._said[row]
        stamp = next_stamp(stamp, said[-1].stamp if said else 0)
        merged = merge_entries([*known, *said]) if table.groups else {}
        text = dump({**columns, **complete(table.groups, columns, merged)})
        if not keys and not columns.get(ALIVE, True):
            keys = self._store.read_members([row]).get(row, ())
        made = self.write(row, table.scope, text, stamp=stamp, base=add_names(base, said), keys=keys)
        said += made
        return made

    def keep_names(self) -> None:
        """Keep, in the transaction that is open, which names were given and what their author had seen."""
        digest = digest_vector(self.context)
        passes: dict[PassName, str] = {(self.origin, self.epoch, self.pass_number): digest}
        self._store.write_contexts({digest: dump_vector(self.context)})
        self._store.write_passes(passes)
        if self._client is None:
            self._store.write_site(last_number=self.number, last_pass=self.pass_number)

    def claim(self) -> None:
        """Raise the site's vector: the entries are in the log."""
        self._store.write_vector(claim_entries(self.entries))


def claim_entries(entries: Iterable[Entry]) -> dict[Component, int]:
    """Return the vector of entries that are all that there is of their epochs, up to the last; they come in
    the order of their numbers."""
    return {(entry.origin, entry.epoch, entry.scope): entry.number for entry in entries}

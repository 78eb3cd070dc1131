"""What a store keeps of its own: captured, changelog, versions, vectors, parked rows, progress.

The SQL is common to both engines: it is written once, here. What differs is behind ``_among`` (is one
of many), ``_load`` (append many) and ``_upsert`` (insert or update).
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any
from uuid import uuid4

from changecapture.core.change import Captured, Entry, Row, Version, hash_name
from changecapture.core.clock import LATEST_STAMP
from changecapture.core.codec import PassName
from changecapture.core.merge import unite_versions
from changecapture.core.rank import rank
from changecapture.core.table import SyncedTable
from changecapture.core.values import dump
from changecapture.core.vector import Component, Vector, load_vector
from changecapture.errors import ConfigError, DataError, DriftError, RetryLater
from changecapture.store.aliases import AliasStore
from changecapture.store.bulk import chunks
from changecapture.store.records import Site

ENTRY_HEAD = "origin, epoch, number, pass, stamp, base_seen, scope, table_name, row_key"
ENTRY = f"{ENTRY_HEAD}, columns"
ENTRY_COLUMNS = (*ENTRY.split(", "), "applied")
VERSION_COLUMNS = ("table_name", "row_key", "stamp", "origin", "alive", "seen")
_FIELDS = attrgetter(
    *("origin", "epoch", "number", "pass_number", "stamp", "base_seen", "scope", "table", "key", "columns")
)
"""Of an entry, as ENTRY names them."""
WINDOW = 4
"""A backlog is looked at through a window of this many times the limit of a pass."""
RUN = 2
"""Where a connection stands for its transactions, a pass follows it to this many times the limit."""


class LogStore(AliasStore):
    """The part of a store that reads and writes our own tables."""

    _installed_at: int
    tables: dict[int, SyncedTable]
    tables_by_name: dict[str, SyncedTable]
    tables_by_wire: dict[str, SyncedTable]
    ranks: dict[str, int]
    key_column: str
    """The column ``key`` of captured, quoted where it must be."""
    _stretch: tuple[str, int] = ("", 0)
    """The stretch of the log that this connection wrote last, and the position at which it left it."""
    numbers_transactions: bool
    """Whether ``captured.transaction_id`` names a transaction; else it names a connection."""

    # The site
    def load_tables(self) -> None:
        """Read the installed definitions again; refuse a database in which nothing is installed."""
        self._installed_at = self.read_site().installed_at
        rows = self.query(
            f"SELECT table_id, definition, active FROM {self.prefix}synced_table ORDER BY table_id"
        )
        self.tables = {table_id: SyncedTable.from_json(text) for table_id, text, _ in rows}
        active = [self.tables[table_id] for table_id, _, active in rows if active]
        self.tables_by_name = {table.name: table for table in active}
        self.tables_by_wire = {table.wire: table for table in active}
        self.ranks = rank(active)

    def refresh_tables(self) -> None:
        """Read the installed definitions again if an installation has changed them meanwhile."""
        if self.read_site().installed_at != self._installed_at:
            self.load_tables()

    def read_site(self) -> Site:
        """Return who this site is; raise ConfigError when nothing is installed."""
        try:
            rows = self.query(
                f"SELECT origin, epoch, last_number, last_pass, profile, installed_at FROM {self.prefix}site"
            )
        except DriftError as error:
            raise self._not_installed() from error
        if not rows:
            mend = "run: changecapture install URL"
            raise ConfigError(f"the installation in {self.url} was not finished", mend=mend)
        return Site(*rows[0])

    def write_site(self, *, last_number: int, last_pass: int) -> None:
        """Keep the last names given."""
        self.execute(
            f"UPDATE {self.prefix}site SET last_number = %s, last_pass = %s",
            (last_number, last_pass),
        )

    def read_vector(self) -> dict[Component, int]:
        """Return what this site holds."""
        # One that came down to nothing (lower_vector) says nothing.
        rows = self.query(f"SELECT origin, epoch, scope, number FROM {self.prefix}vector WHERE number > 0")
        return {(origin, epoch, scope): number for origin, epoch, scope, number in rows}

    def write_vector(self, raised: Vector) -> None:
        """Raise components of the vector; none is lowered."""
        known = self.read_vector()
        rows = [
            (*component, number) for component, number in raised.items() if number > known.get(component, 0)
        ]
        self._upsert("vector", ("origin", "epoch", "scope"), ("number",), rows)

    # Captured
    def read_captured(self, limit: int | None) -> list[Captured]:
        """Return captured changes: whole transactions, in the order of their last id, up to a limit.

        A transaction above the limit, or spread wider than the window, is cut. Where a connection stands
        for its transactions they come in the order of their ids, cut where the connection changes.
        """
        found = self._read_captured(limit, "")
        if all(item.table_id in self.tables for item in found):
            return found
        # A killed installation made triggers but did not write the definition: it waits for the next.
        known = ", ".join(map(str, self.tables)) or "0"
        return self._read_captured(limit, f"table_id IN ({known})")

    def _read_captured(self, limit: int | None, condition: str) -> list[Captured]:
        where = f"WHERE {condition}" if condition else ""
        both = f"{condition} AND" if condition else ""
        if limit is None:
            return self._select_captured(f"{where} ORDER BY id", [])
        window = (
            f"(SELECT id, transaction_id FROM {self.prefix}captured {where} "
            f"ORDER BY id LIMIT {limit * WINDOW}) AS w"
        )
        choose = self._choose_transactions if self.numbers_transactions else self._choose_run
        chosen, parameters, most = choose(window, limit)
        return self._select_captured(f"WHERE {both} {chosen} ORDER BY id LIMIT {most}", parameters)

    def _select_captured(self, which: str, parameters: Sequence[Any]) -> list[Captured]:
        """Return captured changes; ``which``: the end of a SELECT."""
        rows = self.query(
            f"SELECT id, table_id, operation, {self.key_column}, old_key, changed, image, "
            f"transaction_id, captured_at FROM {self.prefix}captured {which}",
            parameters,
        )
        return [Captured(*row) for row in rows]

    def _choose_transactions(self, window: str, limit: int) -> tuple[str, list[Any], int]:
        """Return what makes a pass, as a condition, its parameters and a limit: whole transactions, if it
        can be."""
        groups = self.query(f"SELECT max(id), transaction_id, count(*) FROM {window} GROUP BY transaction_id")
        chosen: list[int] = []
        last = taken = 0
        for end, transaction, count in sorted(groups):
            if chosen and taken + count > limit:
                break
            chosen.append(transaction)
            last, taken = end, taken + count
        condition, parameters = self._among("transaction_id", chosen, "bigint")
        return f"id <= %s AND {condition}", [last, *parameters], limit

    def _choose_run(self, window: str, limit: int) -> tuple[str, list[Any], int]:
        """Return the same where connections are numbered: the first, to the end of the connection's run.

        A connection's earlier transaction must not wait for its later ones: others may have built on it.
        """
        most = limit * RUN
        edge = self.query(f"SELECT id, transaction_id FROM {window} ORDER BY id LIMIT 1 OFFSET {limit - 1}")
        if edge:
            query = f"SELECT min(id) FROM {window} WHERE id > %s AND transaction_id <> %s"
            ((after,),) = self.query(query, edge[0])
            if after is not None:
                return "id < %s", [after], most
        return "id > %s", [0], most

    def read_departed(self, table: SyncedTable) -> list[str]:
        """Return the local keys that captured rows of a table have had: they may be gone by now."""
        table_id = next(id_ for id_, other in self.tables.items() if other.name == table.name)
        rows = self.query(
            f"SELECT {self.key_column}, old_key FROM {self.prefix}captured "
            "WHERE table_id = %s AND (operation IN ('D', 'd') OR old_key IS NOT NULL)",
            (table_id,),
        )
        return [text for row in rows for text in row if text is not None]

    def write_missed(self, table: str, operation: str, reason: str) -> None:
        """Note that a change of a table (by name) was captured and could not be published."""
        columns = ("table_name", "operation", "reason", "missed_at")
        self._load("missed", columns, [(table, operation, reason, self.read_clock())])

    def delete_captured(self, ids: Sequence[int]) -> None:
        """Delete what was published; raise RetryLater when some of it is gone already (R18)."""
        deleted = 0
        for part in chunks(ids):
            deleted += self._delete_captured(part)
        if deleted != len(ids):
            raise RetryLater(
                "captured changes were published by someone else",
                why=f"{len(ids)} were read, {deleted} could be deleted",
            )

    def _delete_captured(self, ids: Sequence[int]) -> int:
        """Delete captured rows, looking at no others: the application holds some; return how many."""
        condition, parameters = self._among("id", ids, "bigint")
        return self.execute(f"DELETE FROM {self.prefix}captured WHERE {condition}", parameters)

    def has_captured(self) -> bool:
        """Return whether captured changes wait."""
        return bool(self.query(f"SELECT 1 FROM {self.prefix}captured LIMIT 1"))

    def read_news(self) -> tuple[bool, tuple[int, int]]:
        """Return whether captured changes wait, and the last name given: one look, as it is taken often."""
        captured = f"EXISTS (SELECT 1 FROM {self.prefix}captured)"
        rows = self.query(f"SELECT {captured}, epoch, last_number FROM {self.prefix}site")
        if not rows:
            self.read_site()  # it says why there is none
        waits, epoch, number = rows[0]
        return bool(waits), (int(epoch), int(number))

    def captured_range(self) -> tuple[int, int]:
        """Return the least and the greatest id of what waits, zeros when nothing does."""
        ((first, last),) = self.query(
            f"SELECT coalesce(min(id), 0), coalesce(max(id), 0) FROM {self.prefix}captured"
        )
        return first, last

    def count_captured(self) -> int:
        """Return how many captured changes wait."""
        return int(self.query(f"SELECT count(*) FROM {self.prefix}captured")[0][0])

    # Versions and entries
    def read_versions(self, rows: Collection[Row]) -> dict[Row, Version]:
        """Return what is known of the rows."""
        return {
            Row(table, key): Version(stamp, origin, bool(alive), seen)
            for table, key, stamp, origin, alive, seen in self._of_rows(
                f"SELECT table_name, row_key, stamp, origin, alive, seen FROM {self.prefix}row_version WHERE",
                rows,
            )
        }

    def find_dead(self, rows: Collection[Row]) -> set[Row]:
        """Return those of the rows that are known to be deleted."""
        select = f"SELECT table_name, row_key FROM {self.prefix}row_version WHERE alive = 0 AND"
        return {Row(*row) for row in self._of_rows(select, rows)}

    def read_alive_after(self, table: str, after: str, limit: int) -> dict[Row, Version]:
        """Return what is known of living rows of a table (wire name), in order of their keys."""
        rows = self.query(
            f"SELECT row_key, stamp, origin, seen FROM {self.prefix}row_version "
            f"WHERE table_name = %s AND row_key > %s AND alive = 1 ORDER BY row_key LIMIT {limit}",
            (table, after),
        )
        return {Row(table, key): Version(stamp, origin, True, seen) for key, stamp, origin, seen in rows}

    def write_versions(self, versions: Mapping[Row, Version], known: Mapping[Row, Version | None]) -> None:
        """Keep what is known of the rows; ``known`` is what is kept now, None for nothing."""
        fresh = [(*row, *_plain(v)) for row, v in versions.items() if known.get(row) is None]
        changed = [(*row, *_plain(v)) for row, v in versions.items() if known.get(row) not in (None, v)]
        self._load("row_version", VERSION_COLUMNS, fresh)
        self._raise_versions(changed)

    def _raise_versions(self, rows: Sequence[Sequence[Any]]) -> None:
        """Replace versions that are there."""
        self._upsert("row_version", VERSION_COLUMNS[:2], VERSION_COLUMNS[2:], rows)

    def unite_rows(self, joined: Mapping[Row, Row]) -> None:
        """Make one row, by its name, of what is known of rows by several keys: {row by a key: by its name},
        the names among the keys.

        Its entries keep their keys. It is no longer parked: it is to be shown anew.
        """
        known: dict[Row, list[Version]] = defaultdict(list)
        for row, version in self.read_versions(joined).items():
            known[joined[row]].append(version)
        for statement in (
            f"DELETE FROM {self.prefix}row_version WHERE",
            f"DELETE FROM {self.prefix}parked WHERE",
            f"DELETE FROM {self.prefix}waiting WHERE",
        ):
            for _ in self._of_rows(statement, joined, False):
                pass
        self.write_versions({row: unite_versions(parts) for row, parts in known.items()}, {})
        where = "target_table = %s AND target_key = %s"
        for row, name in joined.items():
            self.execute(f"UPDATE {self.prefix}waiting SET target_key = %s WHERE {where}", (name.key, *row))

    def find_made_of(self, table: str, keys: Collection[str]) -> list[Row]:
        """Return the rows of a table (wire name) whose keys, arrays of keys, hold one of these."""
        found: set[str] = set()
        for part in chunks(keys):
            holds = " OR ".join(["row_key LIKE %s ESCAPE '!'"] * len(part))
            where = f"WHERE table_name = %s AND ({holds})"
            parameters = [table, *(f"%{_escape(dump(key))}%" for key in part)]
            rows = self.query(
                f"SELECT row_key FROM {self.prefix}changelog {where} "
                f"UNION SELECT row_key FROM {self.prefix}key_alias {where}",
                parameters * 2,
            )
            found.update(key for (key,) in rows)
        return [Row(table, key) for key in sorted(found)]

    def append_entries(self, entries: Sequence[Entry], *, applied: bool) -> None:
        """Append to the changelog; raise DataError for what every peer would refuse."""
        if not entries:
            return
        for entry in entries:
            if not 0 < entry.stamp <= LATEST_STAMP:
                why = f"{entry.stamp} is not between 1970 and 2200"
                raise DataError(f"no peer would take a change of {entry.key} with such a stamp", why=why)
        token = self._go_on()
        ready = applied and all(entry.line is not None for entry in entries)
        lines = [entry.line for entry in entries] if ready else self._spell_entries(entries, applied)
        self._load_lines("changelog", ENTRY_COLUMNS, lines)
        self._stretch = token, self.last_position()

    def _spell_entries(self, entries: Iterable[Entry], applied: bool) -> list[Any]:
        return self._spell((*fields, int(applied)) for fields in map(_FIELDS, entries))

    def spell_entries(self, entries: Sequence[Entry]) -> None:
        """Make ready how these entries will be appended, if they are applied; without the database."""
        for entry, line in zip(entries, self._spell_entries(entries, True), strict=True):
            entry.line = line

    def _go_on(self) -> str:
        """Return what names the stretch of the log that is written now: begin one, unless the last is of this
        connection and the log ends where it left it. It may have been put back, under it too."""
        end = self.last_position()
        newest = self.query(
            f"SELECT token FROM {self.prefix}stretch ORDER BY begins_after DESC LIMIT 1",
        )
        if newest == [(self._stretch[0],)] and end == self._stretch[1]:
            return self._stretch[0]
        token = uuid4().hex
        self._upsert("stretch", ("begins_after",), ("token",), [(end, token)])
        return token

    def read_stretch(self, position: int) -> str:
        """Return what names the stretch of the log that a position is in, '' where that is not known."""
        rows = self.query(
            f"SELECT token FROM {self.prefix}stretch WHERE begins_after < %s "
            "ORDER BY begins_after DESC LIMIT 1",
            (position,),
        )
        return str(rows[0][0]) if rows else ""

    def forget_stretches(self, position: int) -> None:
        """Forget stretches that ended before a position."""
        rows = self.query(
            f"SELECT max(begins_after) FROM {self.prefix}stretch WHERE begins_after < %s", (position,)
        )
        self.execute(f"DELETE FROM {self.prefix}stretch WHERE begins_after < %s", (rows[0][0] or 0,))

    def append_first(self, entries: Sequence[Entry], seen: Sequence[int] | None = None) -> None:
        """Append the first entries of living rows, and keep what is known of the rows by them alone;
        ``seen``: the hashes of their names, where they are known."""
        if seen is None:
            seen = [hash_name(entry.origin, entry.epoch, entry.number) for entry in entries]
        self.append_entries(entries, applied=True)
        self._load(
            "row_version",
            VERSION_COLUMNS,
            [(e.table, e.key, e.stamp, e.origin, 1, now) for e, now in zip(entries, seen, strict=True)],
        )

    def append_next(self, entries: Sequence[Entry], seen: Sequence[int]) -> None:
        """Append entries of known, living rows, one of each, and keep what is known of the rows by them;
        ``seen``: what that of each row comes to."""
        self.append_entries(entries, applied=True)
        self._raise_versions(
            [(e.table, e.key, e.stamp, e.origin, 1, now) for e, now in zip(entries, seen, strict=True)]
        )

    def find_names(self, names: Collection[PassName]) -> set[PassName]:
        """Return those of the names (origin, epoch, number) that are in the changelog."""
        return set(self._numbered("changelog", "number", "number", self._not_beyond(names)))

    def _not_beyond(self, names: Collection[PassName]) -> list[PassName]:
        """Leave out what is numbered beyond all that is here of its origin and epoch: mostly all."""
        last: dict[tuple[str, int], int] = {}
        for origin, epoch in {name[:2] for name in names}:
            ((number,),) = self.query(
                f"SELECT coalesce(max(number), 0) FROM {self.prefix}changelog "
                "WHERE origin = %s AND epoch = %s",
                (origin, epoch),
            )
            last[origin, epoch] = number
        return [name for name in names if name[2] <= last[name[0], name[1]]]

    def read_entries(self, after: int, end: int, limit: int) -> list[tuple[int, Entry]]:
        """Return (position, entry) with after < position <= end, in order."""
        rows = self.query(
            f"SELECT {ENTRY}, position FROM {self.prefix}changelog "
            f"WHERE position > %s AND position <= %s ORDER BY position LIMIT {limit}",
            (after, end),
        )
        return [(row[10], Entry(*row[:10])) for row in rows]

    def read_reach(self, after: int, end: int) -> dict[Component, int]:
        """Return the greatest number of each origin, epoch and scope with after < position <= end."""
        rows = self.query(
            f"SELECT origin, epoch, scope, max(number) FROM {self.prefix}changelog "
            "WHERE position > %s AND position <= %s GROUP BY origin, epoch, scope",
            (after, end),
        )
        return {(origin, epoch, scope): number for origin, epoch, scope, number in rows}

    def last_position(self) -> int:
        """Return the greatest position, 0 when the changelog is empty."""
        return int(self.query(f"SELECT coalesce(max(position), 0) FROM {self.prefix}changelog")[0][0])

    def read_row_entries(self, rows: Collection[Row]) -> dict[Row, list[tuple[Entry, bool]]]:
        """Return all entries of the rows, under whichever of its keys, each with whether it is applied."""
        found: dict[Row, list[tuple[Entry, bool]]] = defaultdict(list)
        places = self._spread(rows)
        select = f"SELECT {ENTRY}, applied FROM {self.prefix}changelog WHERE"
        for row in self._of_rows(select, places):
            entry = Entry(*row[:10])
            found[places[entry.row]].append((entry, bool(row[10])))
        return found

    def read_row_entries_until(self, rows: Collection[Row], position: int) -> list[Entry]:
        """Return the entries of the rows that stand no further than a position of the log."""
        select = f"SELECT {ENTRY} FROM {self.prefix}changelog WHERE position <= {int(position)} AND"
        return [Entry(*row) for row in self._of_rows(select, self._spread(rows))]

    def read_carried(self, table: str) -> dict[Row, list[Entry]]:
        """Return the entries of a table (wire name) that are not applied."""
        found: dict[Row, list[Entry]] = defaultdict(list)
        sql = f"SELECT {ENTRY} FROM {self.prefix}changelog WHERE table_name = %s AND applied = 0"
        for row in self.query(sql, (table,)):
            entry = Entry(*row)
            found[entry.row].append(entry)
        return found

    def mark_applied(self, rows: Collection[Row]) -> None:
        """Say that all entries of the rows are applied."""
        for _ in self._of_rows(
            f"UPDATE {self.prefix}changelog SET applied = 1 WHERE applied = 0 AND", self._spread(rows), False
        ):
            pass

    def write_contexts(self, contexts: Mapping[str, str]) -> None:
        """Keep {digest: vector as JSON}."""
        known = self._known("context", "context", contexts)
        self._load("context", ("context", "vector"), ((d, v) for d, v in contexts.items() if d not in known))

    def write_passes(self, passes: Mapping[PassName, str]) -> None:
        """Keep {pass: digest of its context}."""
        known = self.read_passes(passes)
        self._load(
            "pass",
            ("origin", "epoch", "pass", "context"),
            ((*name, digest) for name, digest in passes.items() if name not in known),
        )

    def read_passes(self, passes: Collection[PassName]) -> dict[PassName, str]:
        """Return {pass: digest of its context}."""
        return self._numbered("pass", "pass", "context", passes)

    def read_contexts(self, passes: Collection[PassName]) -> dict[PassName, Vector]:
        """Return what the authors of the passes had seen."""
        digests = self.read_passes(passes)
        vectors = self._known("context", "context", set(digests.values()), "vector")
        loaded = {digest: load_vector(text) for digest, text in vectors.items()}
        return {name: loaded[digest] for name, digest in digests.items() if digest in loaded}


def _escape(text: str) -> str:
    """Return the pattern of LIKE .. ESCAPE '!' that is this text."""
    return re.sub("[!%_]", "!\\g<0>", text)


def _plain(version: Version) -> tuple[int, str, int, int]:
    return version.stamp, version.origin, int(version.alive), version.seen

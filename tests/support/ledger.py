"""Keeps the books while sites write and exchange: what every change was, and what its author could see.

It learns this by looking at a site's own log just before and after it publishes, and so owes nothing to
contexts, vectors or ``seen``. At the end it says what all sites must show and which values must have been
kept as conflicts: by the rules of the design in their plainest form, not by the product's merge.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from changecapture.core.change import Row
from tests.support.sites import AnySite

Name = tuple[str, int, int]
ALIVE = "@alive"


class Made(NamedTuple):
    """A change that some site published. ``known``: the names of what its application could see."""

    order: tuple[int, str, int, int]
    row: Row
    columns: Mapping[str, Any]
    known: frozenset[Name]

    @property
    def name(self) -> Name:
        """The name of the entry."""
        return self.order[1:]


class Ledger:
    """What was published, by whom, seeing what."""

    def __init__(self) -> None:
        self.made: dict[Name, Made] = {}
        self._stamps: dict[Name, int] = {}

    @contextmanager
    def watching(self, site: AnySite) -> Iterator[None]:
        """Note what a site publishes inside, whoever asked it to."""
        waits = site.store.has_captured()
        known = _read_names(site, "applied = 1") if waits else frozenset()
        try:
            yield
        finally:
            if waits:
                self._note(site, known)

    def _note(self, site: AnySite, known: frozenset[Name]) -> None:
        for row in site.fetch(
            f"SELECT stamp, origin, epoch, number, table_name, row_key, {site.quote('columns')} "
            "FROM {p}changelog WHERE origin = %s ORDER BY number",
            [site.origin],
        ):
            order, columns = tuple(row[:4]), json.loads(row[6])
            columns.pop("@unseen", None)
            if order[1:] not in self.made:
                self.made[order[1:]] = Made(order, Row(*row[4:6]), columns, known)
                known |= {order[1:]}

    def check(self, site: AnySite) -> None:
        """Fail unless a site that has everything knows, shows and keeps what follows from it."""
        assert _read_names(site, "1 = 1") == self.made.keys(), "entries that no application wrote, or lost"
        self._take_stamps(site)
        self._check_order()
        shown, merged = dict(self._list_shown(site)), self.merge()
        parked = site.parked().keys()
        for row in merged:
            expected = None if row in parked else self._expect(site, row, merged)
            assert shown.pop(row, None) == expected, f"{site.origin} shows {row} otherwise"
        assert not shown, "rows that nobody wrote"
        kept = {
            (Row(table, key), column, name)
            for table, key, column, name in site.fetch(
                "SELECT table_name, row_key, column_name, lost_name FROM {p}conflict"
            )
        }
        for row, column, made in self.list_lost():
            # What a parked row comes to is settled when it is shown.
            assert row in parked or (row, column, "/".join(map(str, made.name))) in kept, (
                f"lost without a record: {made}"
            )

    def _take_stamps(self, site: AnySite) -> None:
        """Take the stamps as they are in the end, the same everywhere: a site that learns that its clock is
        off corrects those that nobody has yet."""
        for stamp, *name in site.fetch("SELECT stamp, origin, epoch, number FROM {p}changelog"):
            made = self.made[tuple(name)]
            assert self._stamps.setdefault(made.name, stamp) == stamp, (
                f"{site.origin} stamps {made} otherwise"
            )
            self.made[made.name] = made._replace(order=(stamp, *made.name))

    def _check_order(self) -> None:
        """Whoever has seen a change of a row and writes the row wins over it."""
        for made in self.made.values():
            for name in made.known:
                before = self.made[name]
                assert before.row != made.row or before.order < made.order, f"{made} loses to {before}"

    def merge(self) -> dict[Row, dict[str, Any]]:
        """Return the columns of each row as the latest change of each wrote them."""
        rows: dict[Row, dict[str, Any]] = defaultdict(dict)
        for made in sorted(self.made.values(), key=lambda made: made.order):
            rows[made.row].update(made.columns)
        return rows

    def list_lost(self) -> Iterator[tuple[Row, str, Made]]:
        """Yield the values that lost to one whose author did not know of them, and that nobody replaced
        knowingly."""
        cells: dict[tuple[Row, str], list[Made]] = defaultdict(list)
        for made in self.made.values():
            for column in made.columns:
                cells[made.row, column].append(made)
        for (row, column), writers in cells.items():
            kept = max(writers, key=lambda made: made.order)
            for made in writers:
                if made.columns[column] != kept.columns[column]:
                    if not any(made.name in other.known for other in writers):
                        yield row, column, made

    def _list_shown(self, site: AnySite) -> Iterator[tuple[Row, dict[str, Any]]]:
        with site.reader() as reader:
            for wire in reader.tables:
                for key, row in reader.rows(wire).items():
                    yield Row(wire, key), row

    def _expect(
        self, site: AnySite, row: Row, merged: Mapping[Row, Mapping[str, Any]]
    ) -> dict[str, Any] | None:
        """Return what a row must look like, None when it must not be there."""
        if not merged[row].get(ALIVE):
            return None
        expected: dict[str, Any] = {}
        for column in site.store.tables_by_wire[row.table].columns:
            value = merged[row].get(column.wire)
            if column.reference is not None and value is not None:
                target = Row(column.reference.table.lower(), value)
                value = value if merged.get(target, {}).get(ALIVE) else None
            expected[column.wire] = value
        return expected


def _read_names(site: AnySite, condition: str) -> frozenset[Name]:
    return frozenset(
        (origin, epoch, number)
        for origin, epoch, number in site.fetch(
            f"SELECT origin, epoch, number FROM {{p}}changelog WHERE {condition}"
        )
    )

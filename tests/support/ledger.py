"""Keeps the books while sites write and exchange: what every change was, and what its author could see.

``Ledger`` learns this by looking at a site's own log just before and after it publishes, and so owes nothing
to contexts, vectors or ``seen``. At the end it says what all sites must show and which values must have been
kept as conflicts: by the rules of the design in their plainest form, not by the product's merge.

``LogLedger`` is for sites that lost a part of their past, which may have been the only ones to know it: it
goes by what is left in all logs together.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from changecapture.core.change import Row
from changecapture.core.values import dump
from tests.support.sites import AnySite

Name = tuple[str, int, int]
Lost = tuple[Row, str, str]
"""Row, column, and the name of the entry that lost, or the JSON text of its value."""
Content = tuple[int, str, Row, str]
"""Of a change: its stamp and its origin, the row, its columns as JSON."""
ALIVE = "@alive"


class Made(NamedTuple):
    """A change that some site published. ``known``: the names of what its application could see."""

    order: tuple[int, str, int, int]
    row: Row
    columns: Mapping[str, Any]
    known: frozenset[Name] = frozenset()

    @property
    def name(self) -> Name:
        """The name of the entry."""
        return self.order[1:]


class Ledger:
    """What was published, by whom, seeing what."""

    def __init__(self) -> None:
        self.made: dict[Name, Made] = {}
        self._given_up: dict[str, frozenset[Name]] = defaultdict(frozenset)
        """What a site has seen and compaction may have taken from its log."""
        self._stamps: dict[Name, int] = {}

    @contextmanager
    def watching(self, site: AnySite, *, writes: bool = False) -> Iterator[None]:
        """Note what a site publishes inside, whoever asked it to; ``writes``: what its application writes
        inside, too."""
        waits = writes or site.store.has_captured()
        known = self._read_known(site) if waits else frozenset()
        try:
            yield
        finally:
            if waits:
                self._note(site, known)

    def remember(self, site: AnySite) -> None:
        """Note what a site has seen, with what stamps, before its log is compacted."""
        self._given_up[site.origin] = self._read_known(site)
        for stamp, *name in site.fetch("SELECT stamp, origin, epoch, number FROM {p}changelog"):
            if tuple(name) in self.made:  # else a site that lost a part of its past has published it anew
                self._restamp(tuple(name), stamp)

    def _restamp(self, name: Name, stamp: int) -> None:
        self.made[name] = self.made[name]._replace(order=(stamp, *name))

    def _read_known(self, site: AnySite) -> frozenset[Name]:
        gone = self._given_up[site.origin]
        held = _read_names(site, "1 = 1") if gone else frozenset()
        return _read_names(site, "applied = 1") | (gone - held)

    def _note(self, site: AnySite, known: frozenset[Name]) -> None:
        for made in _read_made(site, "WHERE origin = %s ORDER BY number", [site.origin]):
            if made.name not in self.made:
                self.made[made.name] = made._replace(known=known)
                known |= {made.name}

    def check(self, sites: Sequence[AnySite], *, whole: bool = True) -> None:
        """Fail unless sites that have everything know, show and keep what follows from it.

        ``whole``: false where logs were compacted. Then who got a later value without the one that it had
        overtaken has no record of that: one site must have it, perhaps of an equal value that came after.
        """
        kept = [_read_kept(site) for site in sites]
        anywhere: set[Lost] = set().union(*kept)
        for site in sites:
            names = _read_names(site, "1 = 1")
            assert names <= self.made.keys(), f"entries that no application wrote: {names - self.made.keys()}"
            assert not whole or names == self.made.keys(), "entries that are lost"
            self._take_stamps(site)
        self._lower_given_up(sites)
        self._check_order()
        for site, here in zip(sites, kept, strict=True):
            check_shown(site, merge(self.made.values()))
            self._check_kept(site, here if whole else anywhere, whole)

    def _check_kept(self, site: AnySite, kept: set[Lost], whole: bool) -> None:
        parked = site.parked().keys()
        for row, column, made in self.list_lost(whole=whole):
            # What a parked row comes to is settled when it is shown.
            names = "/".join(map(str, made.name)), dump(made.columns[column])
            assert row in parked or (row, column, names[not whole]) in kept, f"lost without a record: {made}"

    def _take_stamps(self, site: AnySite) -> None:
        """Take the stamps as they are in the end, the same everywhere: a site that learns that its clock is
        off corrects those that nobody has yet."""
        for stamp, *name in site.fetch("SELECT stamp, origin, epoch, number FROM {p}changelog"):
            made = self.made[tuple(name)]
            assert self._stamps.setdefault(made.name, stamp) == stamp, (
                f"{site.origin} stamps {made} otherwise"
            )
            self._restamp(made.name, stamp)

    def _lower_given_up(self, sites: Sequence[AnySite]) -> None:
        """Of what is in no log any more the stamp may have been wrong, and not been corrected."""
        held: set[Name] = set().union(*(_read_names(site, "1 = 1") for site in sites))
        for made in list(self.made.values()):
            for name in made.known - held:
                before = self.made[name]
                if before.row == made.row:
                    self._restamp(name, min(before.order[0], made.order[0] - 1))

    def _check_order(self) -> None:
        """Whoever has seen a change of a row and writes the row wins over it."""
        for made in self.made.values():
            for name in made.known:
                before = self.made[name]
                assert before.row != made.row or before.order < made.order, f"{made} loses to {before}"

    def list_lost(self, *, whole: bool = True) -> Iterator[tuple[Row, str, Made]]:
        """Yield the values that lost to one whose author did not know of them, and that nobody replaced
        knowingly.

        ``whole``: false where an equal value that came later may stand for one: it let that be given up.
        """
        cells: dict[tuple[Row, str], list[Made]] = defaultdict(list)
        for made in self.made.values():
            for column in made.columns:
                cells[made.row, column].append(made)
        for (row, column), writers in cells.items():
            kept = max(writers, key=lambda made: made.order)
            replaced: set[Name] = set().union(*(made.known for made in writers))
            for made in writers:
                value = made.columns[column]
                equal = [one for one in writers if one.columns[column] == value and one.order >= made.order]
                meant = [made] if whole else equal
                if value != kept.columns[column] and not any(one.name in replaced for one in meant):
                    yield row, column, made


class LogLedger:
    """What is left in all logs together: every life's changes, under whatever names."""

    def check(self, sites: Sequence[AnySite], *, whole: bool = True) -> None:
        """Fail unless all sites show what all logs together come to, and hold it all.

        ``whole``: false where logs were compacted.
        """
        made = {site.origin: list(_read_made(site)) for site in sites}
        first, *others = [{_content(one) for one in of_site} for of_site in made.values()]
        for other in others:
            assert not whole or other == first, f"held at one site only: {other ^ first}"
        everything = [one for of_site in made.values() for one in of_site]
        merged = merge(everything)
        for site in sites:
            check_shown(site, merged)
        if whole:  # else a log may hold a name as its origin's last of that epoch, and what it means no more
            _check_names(everything)


def _check_names(made: Iterable[Made]) -> None:
    """Of what a name means, all but one is held under a name that means nothing else too."""
    meant: dict[Name, set[Content]] = defaultdict(set)
    for one in made:
        meant[one.name].add(_content(one))
    apart = {content for contents in meant.values() if len(contents) == 1 for content in contents}
    for name, contents in meant.items():
        assert len(contents - apart) <= 1, f"{name} means two things"


def merge(made: Iterable[Made]) -> dict[Row, dict[str, Any]]:
    """Return the columns of each row as the latest change of each wrote them."""
    rows: dict[Row, dict[str, Any]] = defaultdict(dict)
    for one in sorted(made, key=lambda made: made.order):
        rows[one.row].update(one.columns)
    return rows


def check_shown(site: AnySite, merged: Mapping[Row, Mapping[str, Any]]) -> None:
    """Fail unless a site shows what the merged rows come to, parked ones not."""
    shown, parked = dict(_list_shown(site)), site.parked().keys()
    for row in merged:
        expected = None if row in parked else _expect(site, row, merged)
        found = shown.pop(row, None)
        assert found == expected, f"{site.origin} shows {row} otherwise: {found}, not {expected}"
    assert not shown, "rows that nobody wrote"


def _list_shown(site: AnySite) -> Iterator[tuple[Row, dict[str, Any]]]:
    with site.reader() as reader:
        for wire in reader.tables:
            for key, row in reader.rows(wire).items():
                yield Row(wire, key), row


def _expect(site: AnySite, row: Row, merged: Mapping[Row, Mapping[str, Any]]) -> dict[str, Any] | None:
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


def _content(made: Made) -> Content:
    """Return what a change is, whatever its name."""
    return made.order[0], made.order[1], made.row, json.dumps(made.columns, sort_keys=True)


def _read_made(site: AnySite, condition: str = "", parameters: Sequence[Any] = ()) -> Iterator[Made]:
    for row in site.fetch(
        f"SELECT stamp, origin, epoch, number, table_name, row_key, {site.quote('columns')} "
        f"FROM {{p}}changelog {condition}",
        parameters or None,
    ):
        columns = json.loads(row[6])
        columns.pop("@unseen", None)
        yield Made(tuple(row[:4]), Row(*row[4:6]), columns)


def _read_kept(site: AnySite) -> set[Lost]:
    found = site.fetch("SELECT table_name, row_key, column_name, lost_name, lost_value FROM {p}conflict")
    return {
        (Row(table, key), column, what)
        for table, key, column, name, value in found
        for what in (name, dump(json.loads(value)))
    }


def _read_names(site: AnySite, condition: str) -> frozenset[Name]:
    return frozenset(
        (origin, epoch, number)
        for origin, epoch, number in site.fetch(
            f"SELECT origin, epoch, number FROM {{p}}changelog WHERE {condition}"
        )
    )

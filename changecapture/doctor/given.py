"""Checks of names that an application counts itself: two sites that begin alike name two people alike.

SahanaPHP names its rows by a word of the site (``base_uuid``) and a counter, and both are the same on every
new installation. Such rows are one row wherever they meet: what lost is kept as a conflict, but two people
are shown as one. Only names that sites gave can be seen here, so it shows when they have met.
"""

from collections import defaultdict
from collections.abc import Iterator

from changecapture.doctor.subject import Problem, Subject
from changecapture.mapping import MAPPINGS, load_mapping, read_text
from changecapture.store.sqlstore import SqlStore

SHOWN = 5
BASE = "give each site a base_uuid of its own (in its configuration) before it names anything more"


def check_given_names(subject: Subject) -> Iterator[Problem]:
    """Beginnings of names that several sites use, and names that two sites gave to different things."""
    if subject.status is None:
        return
    tables = sorted(_counted_tables())
    both: set[str] = set()
    alone: dict[str, set[str]] = defaultdict(set)
    for key, first, last in _read_makers(subject.store, tables):
        base = key.rstrip("0123456789")
        if first != last:
            both.add(key)
        elif base:
            alone[base].add(first)
    shared = sorted(base for base, origins in alone.items() if len(origins) > 1)
    if shared:
        named = ", ".join(repr(base) for base in shared[:SHOWN])
        yield Problem(
            f"several sites give names that begin with {named}",
            "they count on from the same number: two people get one name, and are shown as one everywhere",
            (f"-- {BASE}",),
        )
    mixed = sorted(both & _read_conflicting(subject.store, tables))
    if mixed:
        named = ", ".join(mixed[:SHOWN])
        yield Problem(
            f"{len(mixed)} names were given by two sites to what differs: {named}",
            "each is shown as one everywhere; register anew what lost, which is kept as a conflict",
            ("$ changecapture conflicts list URL", f"-- {BASE}"),
        )


def _counted_tables() -> set[str]:
    """Return the tables, of the applications and common ones, whose rows are named so."""
    records = [record for name in MAPPINGS for record in load_mapping(read_text(name), name).records]
    counted = [record for record in records if not record.root.parent]
    return {record.anchor.table for record in counted} | {record.root.table for record in counted}


def _read_makers(store: SqlStore, tables: list[str]) -> list[tuple[str, str, str]]:
    """Return (key, a site, a site) of rows by the sites that made them without having seen them."""
    places = ", ".join(["%s"] * len(tables))
    return store.query(
        f"SELECT row_key, min(origin), max(origin) FROM {store.prefix}changelog WHERE base_seen = 0 "
        f"AND table_name IN ({places}) AND row_key NOT LIKE 'urn:%%' GROUP BY table_name, row_key",
        tables,
    )


def _read_conflicting(store: SqlStore, tables: list[str]) -> set[str]:
    places = ", ".join(["%s"] * len(tables))
    rows = store.query(
        f"SELECT DISTINCT row_key FROM {store.prefix}conflict WHERE table_name IN ({places})", tables
    )
    return {key for (key,) in rows}

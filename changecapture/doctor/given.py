"""Checks of names that an application counts itself: two sites that begin alike name two people alike.

SahanaPHP names its rows by a word of the site (``base_uuid``) and a counter, and both are the same on every
new installation. Such rows are one row wherever they meet: what lost is kept as a conflict, but two people
are shown as one. Only names that sites gave can be seen here, so it shows when they have met.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from changecapture.doctor.subject import Problem, Subject
from changecapture.mapping import counted_tables
from changecapture.store.sqlstore import SqlStore

SHOWN = 5
BASE = "give each site a base_uuid of its own (in its configuration) before it names anything more"


def check_given_names(subject: Subject) -> Iterator[Problem]:
    """Beginnings of names that several sites use, and names that two sites gave to different things."""
    if subject.status is None:
        return
    tables = counted_tables()
    alone: dict[str, set[str]] = defaultdict(set)
    for key, first, last in _read_makers(subject.store, tables):
        base = key.rstrip("0123456789")
        if first == last and base:
            alone[base].add(first)
    shared = sorted(base for base, origins in alone.items() if len(origins) > 1)
    if shared:
        named = ", ".join(repr(base) for base in shared[:SHOWN])
        yield Problem(
            f"several sites give names that begin with {named}",
            "they count on from the same number: two people get one name, and are shown as one everywhere",
            (f"-- {BASE}",),
        )
    mixed = subject.store.read_twice_named(tables)
    if mixed:
        named = ", ".join(mixed[:SHOWN])
        yield Problem(
            f"{len(mixed)} names were given by two sites to what differs: {named}",
            "each is shown as one everywhere; register anew what lost, which is kept as a conflict",
            ("$ changecapture conflicts list URL", f"-- {BASE}"),
        )


def _read_makers(store: SqlStore, tables: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (key, a site, a site) of rows by the sites that made them without having seen them."""
    places = ", ".join(["%s"] * len(tables))
    return store.query(
        f"SELECT row_key, min(origin), max(origin) FROM {store.prefix}changelog WHERE base_seen = 0 "
        f"AND table_name IN ({places}) AND row_key NOT LIKE 'urn:%%' GROUP BY table_name, row_key",
        tables,
    )

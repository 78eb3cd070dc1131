"""Keys compare as bytes everywhere: what a collation would take for one key are two rows to every site."""

import pytest

from changecapture.core.change import Row, Version
from changecapture.core.merge import Cell, Conflict
from changecapture.store.records import Progress
from tests.database.test_store_contract import entry, place, store  # noqa: F401
from tests.support.sites import assert_in_step, exchange

ALIKE = {
    "space": ("a", "a "),
    "case": ("a", "A"),
    "normalisation": ("\u00e9", "e\u0301"),
    "emoji": ("\U0001f600", "\U0001f601"),
    "width": ("a", "\uff41"),
    "letters": ("ss", "\u00df"),
}
"""Two keys each."""
BOTH = [("postgresql", "mariadb"), ("mariadb", "postgresql")]


def rows(alike, table="parent"):
    return [Row(table, key) for key in ALIKE[alike]]


@pytest.mark.parametrize("alike", ALIKE)
def test_store_keeps_what_is_known_of_rows_with_alike_keys_apart(store, alike):  # noqa: F811
    one, other = rows(alike)
    first, second = entry(one), entry(other)
    versions = {one: Version(1, "far", True, 5), other: Version(2, "near", False, 6)}
    store.append_entries([first, second], applied=False)
    store.write_versions(versions, {})
    store.write_versions({other: Version(3, "near", True, 7)}, {row: versions[row] for row in (one, other)})
    store.write_parked({one: ("busy", "one"), other: ("unique", "other")})
    store.forget_parked([one])
    store.add_waiting({one: [("boss", *other)]})
    store.write_conflicts([(one, Conflict("note", Cell(first, 1), Cell(second, 2)))])
    assert store.read_versions([one, other]) == {one: versions[one], other: Version(3, "near", True, 7)}
    assert store.read_versions([one]) == {one: versions[one]}
    assert store.read_row_entries([one]) == {one: [(first, False)]}
    assert store.read_parked([one, other]) == {other}
    assert (store.read_waiting_for([other]), store.read_waiting_for([one])) == ([one], [])
    assert [row for _, row, *_ in store.read_open_conflicts([other])] == []
    assert [row for _, row, *_ in store.read_open_conflicts([one])] == [one]


@pytest.mark.parametrize("alike", ALIKE)
def test_store_keeps_sites_with_alike_names_apart(store, alike):  # noqa: F811
    one, other = ALIKE[alike]
    store.write_vector({(one, 1, "all"): 5, (other, 1, "all"): 7})
    store.write_vector({(other, 1, one): 1, (other, 1, other): 2})
    store.write_progress(Progress(one, 2, 3, 9, "{}", 1, 7))
    assert store.read_vector() == {
        (one, 1, "all"): 5,
        (other, 1, "all"): 7,
        (other, 1, one): 1,
        (other, 1, other): 2,
    }
    assert store.read_progress(other) == Progress(other)


@pytest.mark.parametrize(("here", "there"), BOTH, ids=["to-mariadb", "from-mariadb"])
def test_rows_with_keys_alike_to_the_other_site_stop_neither(new_site, here, there):
    """The applications' own columns differ: where two keys are one, the second is parked, and forwarded."""
    one, two = new_site(here, "family"), new_site(there, "family")
    for keys in ALIKE.values():
        for key in keys:
            one.family(
                "INSERT INTO word (text) SELECT %s WHERE NOT EXISTS (SELECT 1 FROM word WHERE text = %s)",
                key,
                key,
            )
            one.family(
                "INSERT INTO parent (uuid) SELECT %s WHERE NOT EXISTS (SELECT 1 FROM parent WHERE uuid = %s)",
                key,
                key,
            )
    exchange(one, two)
    one.family.add_parent("later")
    two.family.add_parent("theirs")
    exchange(one, two)
    assert {"later", "theirs"} <= one.family.shown("parent").keys() & two.family.shown("parent").keys()
    clashes = two.fetch("SELECT reason FROM {p}parked")
    assert set(clashes) <= {("unique",)}
    assert bool(clashes) == (there == "mariadb")


def test_second_of_two_alike_keys_is_shown_when_the_first_goes(new_site):
    here, there = new_site("postgresql", "family"), new_site("mariadb", "family")
    here.family.add_parent("a")
    here.family.add_parent("A")
    exchange(here, there)
    assert there.fetch("SELECT row_key, reason FROM {p}parked") == [("A", "unique")]
    here.family.delete("parent", "a")
    here.family.note("parent", "A", "alone")
    exchange(here, there)
    there.family("SELECT 1")
    assert there.family.shown("parent") == {"A": "alone"}
    assert_in_step(here, there)

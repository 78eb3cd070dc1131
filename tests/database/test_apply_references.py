"""Rows that refer to rows which are not here: they wait, or show NULL, until those come."""

from changecapture.core.change import Row
from tests.support.sites import assert_in_step, exchange
from tests.support.stranger import apply, stranger


def test_what_refers_to_a_clashing_row_waits_for_it(families):
    here, there = families
    here.family.add_parent("a", "Nurse")
    here.family.add_parent("p")
    here.family.add_child("c", "a")
    here.family.add_child("d", "p", may="a")
    here.family.add_toy("t", "c")
    there.family.add_parent("b", "Nurse")
    exchange(here, there)
    assert there.parked() == {
        Row("parent", "a"): "unique",
        Row("child", "c"): "reference",
        Row("toy", "t"): "reference",
    }
    assert there.family.rows("SELECT uuid, may FROM child") == [("d", None)]
    there.family("UPDATE parent SET name = 'Staff' WHERE uuid = 'b'")
    exchange(here, there)
    assert_in_step(here, there)


def test_edit_of_a_row_beside_a_waiting_reference_keeps_waiting(families):
    here, there = families
    here.family.add_parent("a", "Nurse")
    here.family.add_parent("p")
    here.family.add_child("d", "p", may="a")
    there.family.add_parent("b", "Nurse")
    exchange(here, there)
    here.family.note("child", "d", "edited")
    exchange(here, there)
    there.family.note("child", "d", "edited there")
    exchange(here, there)
    there.family("UPDATE parent SET name = 'Staff' WHERE uuid = 'b'")
    exchange(here, there)
    assert_in_step(here, there)


def test_second_waiting_reference_does_not_make_the_first_forgotten(families):
    here, there = families
    for name in ("x", "y"):
        here.family.add_parent(name, f"name {name}")
        there.family.add_parent(f"clash {name}", f"name {name}")
    here.family.add_parent("p")
    here.family.add_child("d", "p", may="x")
    exchange(here, there)
    here.family("UPDATE child SET keep = (SELECT id FROM parent WHERE uuid = 'y')")
    exchange(here, there)
    there.family("UPDATE parent SET name = 'other' WHERE uuid = 'clash x'")
    exchange(here, there)
    assert there.family.rows("SELECT count(*) FROM child WHERE may IS NULL") == [(0,)]
    there.family("UPDATE parent SET name = 'another' WHERE uuid = 'clash y'")
    exchange(here, there)
    assert there.family.rows("SELECT count(*) FROM child WHERE may IS NULL OR keep IS NULL") == [(0,)]
    assert_in_step(here, there)


def test_child_that_arrives_before_its_parent_waits_and_is_shown_with_it(home):
    apply(home, stranger("child", "c", 2, must="p", note="n", **{"@alive": True}))
    assert home.parked() == {Row("child", "c"): "reference"}
    apply(home, stranger("toy", "t", 3, owner="c", **{"@alive": True}))
    apply(home, stranger("parent", "p", 1, **{"@alive": True}))
    assert home.parked() == {}
    assert home.family.shown("child") == {"c": "n"}
    assert list(home.family.shown("toy")) == ["t"]
    assert_sound_log_of_strangers(home)


def assert_sound_log_of_strangers(site):
    """What came by hand raised no vector."""
    assert site.fetch("SELECT count(*) FROM {p}changelog WHERE applied = 0") == [(0,)]
    assert site.fetch("SELECT count(*) FROM {p}waiting") == [(0,)]


def test_row_that_waits_for_one_that_waits_is_shown_with_all_its_entries(home):
    """The toy has an entry that is parked and one in the batch that brings its grandparent."""
    apply(home, stranger("child", "c", 2, must="p", **{"@alive": True}))
    apply(home, stranger("toy", "t", 3, 1000, owner="c", note="old", **{"@alive": True}))
    toy = stranger("toy", "t", 4, 2000, note="new", **{"@alive": True})
    apply(home, stranger("parent", "p", 1, **{"@alive": True}), toy)
    assert home.family.shown("toy") == {"t": "new"}
    assert_sound_log_of_strangers(home)


def test_optional_reference_is_null_until_its_row_is_there(home):
    apply(home, stranger("parent", "p", 1, boss="b", **{"@alive": True}))
    assert home.family.rows("SELECT boss FROM parent") == [(None,)]
    apply(home, stranger("parent", "b", 2, boss="b", **{"@alive": True}))
    assert home.family.rows("SELECT count(*) FROM parent WHERE boss IS NULL") == [(0,)]
    assert_sound_log_of_strangers(home)


def test_link_waits_for_both_its_ends(home):
    apply(home, stranger("link", '["p","c"]', 3, note="n", **{"@alive": True}))
    assert home.parked() == {Row("link", '["p","c"]'): "reference"}
    apply(home, stranger("parent", "p", 1, **{"@alive": True}))
    assert home.family.rows("SELECT note FROM link") == []
    apply(home, stranger("child", "c", 2, must="p", **{"@alive": True}))
    assert home.family.rows("SELECT note FROM link") == [("n",)]
    assert_sound_log_of_strangers(home)

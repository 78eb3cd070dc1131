"""Rows that go, come back or get another key, with what refers to them and what is one thing with them."""

import pytest

from changecapture.core.change import Row
from tests.support.compare import compare_sites
from tests.support.family import script
from tests.support.memory import MemorySite
from tests.support.sites import assert_in_step, exchange, send
from tests.support.stranger import apply, stranger


def test_deleted_parent_takes_its_unseen_child_out_of_sight_and_back(families):
    """R4: there is a child at one site that the deleting site never saw."""
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    there.family.add_child("c", "p", may="p", keep="p")
    there.family.add_toy("t", "c")
    there.family.add_link("p", "c", "n")
    here.family.delete("parent", "p")
    exchange(here, there)
    for site in (here, there):
        assert site.family.shown("child") == {}
        assert set(site.parked()) == {Row("child", "c"), Row("toy", "t"), Row("link", '["p","c"]')}
    here.family.add_parent("p", "back")
    exchange(here, there)
    assert set(there.family.shown("child")) == {"c"}
    assert_in_step(here, there)


def test_deleted_parent_leaves_an_optional_reference_empty_until_it_is_back(families):
    here, there = families
    here.family.add_parent("p")
    here.family.add_parent("q")
    exchange(here, there)
    there.family.add_child("c", "q", may="p", keep="p")
    there.family("UPDATE parent SET boss = (SELECT id FROM (SELECT * FROM parent) b WHERE uuid = 'p')")
    here.family.delete("parent", "p")
    exchange(here, there)
    for site in (here, there):
        assert site.family.rows("SELECT may, keep FROM child") == [(None, None)]
        assert site.parked() == {}
    exchange(here, there)
    here.family.add_parent("p")
    exchange(here, there)
    assert here.family.rows("SELECT count(*) FROM child WHERE may IS NULL OR keep IS NULL") == [(0,)]
    assert_in_step(here, there)


def test_child_that_was_moved_to_another_parent_outlives_the_first(families):
    """R20: it is re-pointed before the parent is deleted."""
    here, there = families
    here.family.add_parent("old")
    here.family.add_parent("new")
    here.family.add_child("c", "old", may="old", keep="old")
    here.family.add_toy("t", "c")
    exchange(here, there)
    new = "(SELECT id FROM parent WHERE uuid = 'new')"
    here.family("BEGIN")
    here.family(f"UPDATE child SET must = {new}, may = {new}, keep = {new}")
    here.family.delete("parent", "old")
    here.family("COMMIT")
    exchange(here, there)
    assert set(there.family.shown("child")) == {"c"}
    assert_in_step(here, there)


def test_child_that_is_moved_to_a_parent_deleted_elsewhere_leaves_at_every_site(families):
    """R4: it is not shown under its old parent at the site that had deleted the new one, toys included."""
    here, there = families
    here.family.add_parent("old")
    here.family.add_parent("new")
    here.family.add_child("c", "old")
    here.family.add_toy("t", "c")
    exchange(here, there)
    there.family.delete("parent", "new")
    here.family("UPDATE child SET must = (SELECT id FROM parent WHERE uuid = 'new')")
    exchange(here, there)
    for site in families:
        assert site.family.shown("child") == site.family.shown("toy") == {}
        assert site.parked() == {Row("child", "c"): "reference", Row("toy", "t"): "reference"}
    here.family.add_parent("new")
    exchange(here, there)
    for site in families:
        assert set(site.family.shown("toy")) == {"t"}
    assert_in_step(here, there)


def test_parent_with_another_key_keeps_its_children(families):
    """R20."""
    here, there = families
    here.family.add_parent("p")
    here.family.add_child("c", "p", may="p", keep="p")
    here.family.add_toy("t", "c")
    here.family.add_link("p", "c", "n")
    exchange(here, there)
    here.family("UPDATE parent SET uuid = 'q' WHERE uuid = 'p'")
    exchange(here, there)
    assert there.family.rows("SELECT note FROM link") == [("n",)]
    assert_in_step(here, there)


def test_child_of_another_site_arrives_together_with_the_delete_of_its_parent(families, new_site):
    """One batch brings, from two origins, a new child and the delete of what it needs."""
    here, there = families
    third = new_site("postgresql", "family")
    here.family.add_parent("p")
    exchange(here, there)
    exchange(here, third)
    there.family.add_child("c", "p")
    here.family.delete("parent", "p")
    there.publish()
    send(there, here)
    send(here, third)
    assert third.parked() == {Row("child", "c"): "reference"}
    assert third.family.shown("child") == {}
    here.family.add_parent("p")
    for _ in range(2):
        exchange(here, there)
        exchange(here, third)
    assert set(third.family.shown("child")) == {"c"}
    assert_in_step(here, third)


def test_new_child_leaves_with_a_parent_that_it_alone_keeps(families):
    """The same where the database itself would not let the parent go: nothing is left to it. SQLite is the
    one that asks ``keep`` before it cascades by ``must``."""
    here, there = families
    third = MemorySite(script("memory"))
    here.family.add_parent("p")
    exchange(here, there)
    exchange(here, third)
    there.family.add_child("c", "p", keep="p")
    here.family.delete("parent", "p")
    there.publish()
    send(there, here)
    send(here, third)
    for site in (here, third):
        assert site.parked() == {Row("child", "c"): "reference"}
        assert site.family.shown("child") == site.family.shown("parent") == {}


def test_delete_of_parent_and_children_in_one_batch(families):
    here, there = families
    for number in range(3):
        here.family.add_parent(f"p{number}", boss=f"p{number - 1}")
        here.family.add_child(f"c{number}", f"p{number}", may=f"p{number - 1}")
        here.family.add_toy(f"t{number}", f"c{number}")
        here.family.add_link(f"p{number}", f"c{number}")
    exchange(here, there)
    here.family("BEGIN")
    for table in ("link", "toy", "child", "parent"):
        here.family(f"DELETE FROM {table}")
    here.family("COMMIT")
    exchange(here, there)
    assert there.family.shown("parent") == {}
    assert assert_in_step(here, there).total == 0


def test_cascade_of_the_application_s_database_is_followed(families):
    """PostgreSQL's triggers see a cascade."""
    here, there = families
    if here.dialect == "mysql":
        pytest.skip("see test_r1_cascade_that_fires_no_trigger")
    here.family.add_parent("p")
    here.family.add_parent("q")
    here.family.add_child("c", "p")
    here.family.add_child("d", "q", may="p")
    here.family.add_toy("t", "c")
    exchange(here, there)
    here.family.delete("parent", "p")
    exchange(here, there)
    assert set(there.family.shown("child")) == {"d"}
    assert_in_step(here, there)


def test_r1_cascade_that_fires_no_trigger_is_followed(new_site):
    """R1: MariaDB's cascades fire no triggers; the parent's trigger must record the children."""
    here, there = new_site("mariadb", "family"), new_site("postgresql", "family")
    here.family.add_parent("p")
    here.family.add_parent("q")
    here.family.add_child("c", "p")
    here.family.add_child("d", "q", may="p")
    here.family.add_toy("t", "c")
    exchange(here, there)
    here.family.delete("parent", "p")
    exchange(here, there)
    assert set(there.family.shown("child")) == {"d"}
    assert_in_step(here, there)


def test_person_that_an_edit_revives_comes_back_with_its_super_rows(new_site):
    here, there = new_site("postgresql"), new_site("mariadb")
    person = here.eden.add_person("Anna")
    exchange(here, there)
    here.eden.soft_delete(person, ["pe_id", "track_id"])
    there.eden.change(there.eden.find(person), last_name="later")
    exchange(here, there)
    for site in (here, there):
        assert site.eden.value(person, "deleted") == "F"
        assert site.eden.fetch("SELECT deleted FROM pr_pentity") == [("F",)]


def test_person_that_the_application_alone_revives_has_its_super_rows_at_home_as_well(pair):
    here, there = pair
    person = here.eden.add_person("Anna")
    exchange(here, there)
    here.eden.soft_delete(person, ["pe_id", "track_id"])
    exchange(here, there)
    here.eden.change(person, deleted="F")
    exchange(here, there)
    for site in (here, there):
        assert site.eden.fetch("SELECT deleted FROM pr_pentity") == [("F",)]
    assert_in_step(here, there)


def test_new_row_of_a_thing_that_is_dead_here_is_not_shown(new_site):
    """The person was deleted by someone who had not its super row; that comes last."""
    site = new_site("postgresql")
    person = stranger("pr_person", "p", 1, 1000, first_name="Anna", **{"@alive": True})
    deleted = stranger("pr_person", "p", 2, 3000, **{"@alive": False})
    late = stranger("pr_pentity", "p", 3, 2000, instance_type="pr_person", **{"@alive": True})
    apply(site, person, deleted)
    apply(site, late)
    assert site.eden.fetch("SELECT count(*) FROM pr_pentity WHERE deleted = 'F'") == [(0,)]


def test_child_that_was_born_while_its_parent_was_given_another_key_waits_for_the_old_one(families):
    here, there = families
    for name in ("anna", "ben"):
        here.family.add_parent(name, name)
    here.family.add_child("dora", "ben", keep="anna")
    exchange(here, there)
    here.family.add_child("carl", "ben")
    there.family("UPDATE parent SET uuid = 'benjamin' WHERE uuid = 'ben'")
    exchange(here, there)
    for site in families:
        assert site.parked() == {Row("child", "carl"): "reference"}
    assert exchange(here, there) == 0
    assert not compare_sites(here.url, there.url).differences

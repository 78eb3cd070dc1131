"""Rows that were seeded twice: joined by their natural key or by a person, at every site alike (R13, R14)."""

from itertools import pairwise

import pytest
from lxml import etree

from changecapture.compact import compact
from changecapture.core.change import Row
from changecapture.record.xml import SCHEMA
from tests.database.conftest import DIRECTIONS
from tests.support.commands import run_command
from tests.support.seeds import Seeds
from tests.support.sites import assert_in_step, exchange, send

OTHER_WAY = pytest.param(DIRECTIONS[2], marks=pytest.mark.long)


@pytest.fixture(params=[DIRECTIONS[1], OTHER_WAY], ids="-".join)
def camps(request, new_site):
    """Two sites of the application that is seeded, one on each kind of server."""
    return tuple(Seeds(new_site(kind, "seeds")) for kind in request.param)


@pytest.fixture
def trio(camps, new_site):
    """A third beside them."""
    return (*camps, Seeds(new_site("postgresql", "seeds")))


def meet(*camps, whole=True):
    """Exchange until all have everything; ``whole``: unless a log was compacted."""
    for _ in range(2):
        for left, right in pairwise(camps):
            exchange(left.site, right.site)
    for camp in camps:
        assert camp.site.fetch("SELECT * FROM {p}parked") == []
    for left, right in pairwise(camps):
        assert_in_step(left.site, right.site, whole=whole)


def parked_join(camp, *arguments):
    return run_command("parked", "join", *arguments, camp.site.url)


# By a natural key


@pytest.mark.parametrize("table", ["skill", "sector"])
def test_row_that_two_sites_were_seeded_with_is_one_row(camps, table):
    here, there = camps
    here.add(table, "b", "Nurse")
    there.add(table, "a", "Nurse")
    meet(here, there)
    assert here.rows(table) == there.rows(table) == {"a": None}


@pytest.mark.parametrize("form", ["xml", "csv"])
def test_row_that_two_sites_were_seeded_with_is_one_row_when_they_meet_by_files(camps, tmp_path, form):
    for camp, key in zip(camps, "ba", strict=True):
        camp.add("skill", key, "Nurse")
        camp.add("grade", f"{key}1", "Beginner", skill_id=key)
        camp.add("sector", f"s{key}", "Health")
    for number, (source, target) in enumerate((camps, camps[::-1])):
        path = str(tmp_path / f"{number}.{form}")
        assert run_command("export", source.site.url, path, "--format", form).status == 0
        if form == "xml":
            etree.XMLSchema(etree.parse(SCHEMA)).assertValid(etree.parse(path))
        assert run_command("import", target.site.url, path).status == 0
    for camp in camps:
        assert (camp.rows("skill"), camp.rows("sector")) == ({"a": None}, {"sa": None})
        assert set(camp.rows("grade")) == {"a1"}
        assert camp.site.parked() == {}
    meet(*camps)


def test_edits_of_a_joined_row_meet_whichever_key_they_were_made_under(camps):
    here, there = camps
    here.add("skill", "b", "Nurse")
    there.add("skill", "a", "Nurse")
    meet(here, there)
    here.set("skill", "a", note="here")
    meet(here, there)
    assert there.rows("skill") == {"a": "here"}
    there.set("skill", "a", name="Staff")
    meet(here, there)
    assert here.rows("skill", "name") == {"a": "Staff"}


def test_edit_under_the_key_that_was_joined_away_is_one_of_the_joined_row(trio):
    """The third wrote it before it heard of the join."""
    here, there, third = trio
    here.add("skill", "b", "Nurse")
    exchange(here.site, third.site)
    there.add("skill", "a", "Nurse")
    meet(here, there)
    third.set("skill", "b", note="late")
    meet(here, there, third)
    assert here.rows("skill") == there.rows("skill") == third.rows("skill") == {"a": "late"}


def test_row_that_the_application_inserts_under_a_key_that_was_joined_away_is_folded_again(camps):
    """Seeds bring their original uuid each time."""
    here, there = camps
    here.add("sector", "a", "Nurse")
    there.add("sector", "b", "Nurse")
    meet(here, there)
    there.add("sector", "b", "Nurse", note="again")
    meet(here, there)
    assert here.rows("sector") == there.rows("sector") == {"a": "again"}


def test_rows_below_joined_rows_are_joined_and_the_rest_is_led_over(camps):
    here, there = camps
    for camp, key in ((here, "b"), (there, "a")):
        camp.add("skill", key, "Nurse")
        camp.add("grade", f"{key}1", "Beginner", skill_id=key)
        camp.add("grade", f"{key}2", f"Grade of {key}", skill_id=key)
        camp.add("person", f"p{key}", f"Person of {key}", skill_id=key)
    meet(here, there)
    assert set(here.rows("grade")) == {"a1", "a2", "b2"}
    assert set(here.rows("person")) == {"pa", "pb"}
    for camp in camps:
        assert camp.run.rows("SELECT count(DISTINCT skill_id) FROM grade") == [(1,)]
        assert camp.run.rows("SELECT count(*) FROM person WHERE skill_id IS NULL") == [(0,)]


def test_join_reaches_a_site_that_has_both_rows(trio):
    """The third has no index that would tell it, and saw both before the two met."""
    here, there, third = trio
    here.add("sector", "b", "Health")
    here.add("person", "p", "Ana")
    here.link("p", "b", "of b")
    send(here.site, third.site)
    there.add("sector", "a", "Health", note="there")
    meet(here, there)
    meet(here, there, third)
    for camp in trio:
        assert camp.rows("sector") == {"a": "there"}
        assert camp.links() == {("p", "a"): "of b"}


def test_row_that_is_inserted_again_under_the_key_that_was_joined_away_is_folded_anew(camps):
    """An application's own import does so: the row would stand twice, and one of the two follow nobody."""
    here, there = camps
    here.add("sector", "s1", "C", note="one")
    there.add("sector", "s2", "C", note="two")
    meet(here, there)
    there.add("sector", "s2", "C", note="again")
    meet(here, there)
    assert here.rows("sector") == there.rows("sector") == {"s1": "again"}
    there.add("sector", "s2", "C", note="once more")
    there.delete("sector", "s2")
    meet(here, there)
    assert {*here.rows("sector", "deleted").values(), *there.rows("sector", "deleted").values()} <= {"T"}


def test_rows_that_one_site_has_side_by_side_are_never_joined_unasked(camps):
    here, there = camps
    here.add("sector", "a", "Health")
    here.add("sector", "b", "Health")
    meet(here, there)
    assert set(there.rows("sector")) == {"a", "b"}


@pytest.mark.parametrize("table", ["skill", "sector"])
def test_row_that_is_made_anew_after_another_site_deleted_it_is_joined_with_that_of_a_third(trio, table):
    here, there, third = trio
    here.add(table, "b", "Nurse")
    send(here.site, there.site)
    third.add(table, "c", "Nurse")
    send(here.site, third.site)
    there.delete(table, "b")
    send(there.site, here.site)
    here.add(table, "a", "Nurse")
    meet(*trio)
    assert [camp.rows(table) for camp in trio] == [{"a": None}] * 3


def test_row_that_is_made_beside_one_whose_deletion_is_not_known_yet_is_another(trio):
    here, there, third = trio
    here.add("sector", "b", "Nurse")
    send(here.site, there.site)
    third.add("sector", "c", "Nurse")
    send(here.site, third.site)
    there.delete("sector", "b")
    there.site.publish()
    here.add("sector", "a", "Nurse")
    meet(*trio)
    assert [camp.rows("sector") for camp in trio] == [{"a": None, "b": None}] * 3


def test_rows_that_one_site_has_side_by_side_are_two_when_another_wrote_all_of_one_anew(trio):
    here, there, third = trio
    here.add("sector", "a", "Nurse")
    here.add("sector", "c", "Doctor")
    send(here.site, there.site)
    for deleted in "TF":
        there.set("sector", "a", deleted=deleted)
        there.site.publish()
    send(there.site, here.site)
    here.add("sector", "b", "Nurse")
    for camp in (here, there):
        list(compact(camp.site.store, 0))
    send(there.site, third.site)
    send(here.site, third.site)
    meet(*trio, whole=False)
    assert [camp.rows("sector") for camp in trio] == [{"a": None, "b": None, "c": None}] * 3


def test_rename_before_the_sites_meet_is_no_match(camps):
    here, there = camps
    here.add("skill", "b", "Nurse")
    here.set("skill", "b", name="Staff")
    there.add("skill", "a", "Nurse")
    meet(here, there)
    assert here.rows("skill", "name") == {"a": "Nurse", "b": "Staff"}


def test_rename_that_clashes_with_the_same_row_of_another_site_joins_them(camps):
    here, there = camps
    here.add("skill", "b", "Nurse")
    there.add("skill", "a", "Staff")
    meet(here, there)
    here.set("skill", "b", name="Helper")
    there.set("skill", "a", name="Helper")
    meet(here, there)
    assert here.rows("skill", "name") == {"a": "Helper"}


# Deletes


def test_delete_of_a_joined_row_is_one_of_all_its_keys(camps):
    here, there = camps
    here.add("skill", "b", "Nurse")
    there.add("skill", "a", "Nurse")
    meet(here, there)
    here.delete("skill", "a")
    meet(here, there)
    assert there.rows("skill") == {}


def test_r13_delete_made_before_the_join_says_nothing_of_the_other_key(trio):
    here, there, third = trio
    here.add("skill", "b", "Nurse")
    exchange(here.site, third.site)
    there.add("skill", "a", "Nurse")
    meet(here, there)
    third.delete("skill", "b")
    meet(here, there, third)
    for camp in trio:
        assert camp.rows("skill") == {"a": None}


def test_flagged_row_that_is_joined_with_a_living_one_is_live_again(trio):
    here, there, third = trio
    here.add("sector", "a", "Health")
    exchange(here.site, third.site)
    there.add("sector", "b", "Health")
    meet(here, there)
    third.set("sector", "a", deleted="T")
    meet(here, there, third)
    for camp in trio:
        assert camp.rows("sector", "deleted") == {"a": "F"}


# By a person


def test_parked_row_that_a_person_joins_is_one_row_at_every_site(camps):
    here, there = camps
    here.add("person", "a", "Ana", note="of here")
    there.add("person", "b", "Ana", note="of there")
    exchange(here.site, there.site)
    assert here.site.parked() == {Row("person", "b"): "unique"}
    done = parked_join(here, "person", "b")
    assert (done.status, done.out, done.err) == (0, "joined: person a\n", "")
    meet(here, there)
    assert here.rows("person") == there.rows("person") == {"a": "of there"}


def test_what_waited_for_the_row_that_was_joined_away_is_shown(camps):
    here, there = camps
    for camp, key in ((here, "a"), (there, "b")):
        camp.add("person", key, "Ana")
        camp.add("sector", f"s{key}", f"Sector of {key}")
        camp.link(key, f"s{key}")
    exchange(here.site, there.site)
    assert Row("work", '["b","sb"]') in here.site.parked()
    assert parked_join(there, "person", "a").status == 0
    meet(here, there)
    assert set(here.links()) == {("a", "sa"), ("a", "sb")}


def test_rows_that_are_shown_side_by_side_are_folded_into_one(camps):
    """Their links and what is kept at home lead to the one that stays."""
    here, there = camps
    here.add("person", "a", "Ana")
    here.add("person", "b", "Anna")
    for key in ("s1", "s2"):
        here.add("sector", key, key)
    here.link("a", "s1", "first")
    here.link("b", "s1", "second")
    here.link("b", "s2")
    meet(here, there)
    for camp in camps:
        camp.run("INSERT INTO badge (person_id) SELECT id FROM person WHERE uuid = 'b'")
    done = parked_join(here, "person", "b", "--with", "a")
    assert (done.status, done.out) == (0, "joined: person a\n"), here.site.fetch("SELECT * FROM {p}parked")
    meet(here, there)
    for camp in camps:
        assert set(camp.rows("person")) == {"a"}
        assert camp.links() == {("a", "s1"): "second", ("a", "s2"): None}
        assert camp.run.rows("SELECT count(*) FROM badge b JOIN person p ON p.id = b.person_id") == [(1,)]


def test_discarded_row_is_deleted_everywhere_and_what_it_kept_out_is_shown(camps):
    here, there = camps
    here.add("person", "a", "Ana")
    there.add("person", "b", "Ana")
    exchange(here.site, there.site)
    done = run_command("parked", "discard", "person", "b", here.site.url)
    assert (done.status, done.out, done.err) == (0, "discarded\n", "")
    meet(here, there)
    assert set(here.rows("person")) == set(there.rows("person")) == {"a"}
    assert here.site.conflicts() == there.site.conflicts() == set()


def test_r14_opposite_decisions_of_two_sites_end_alike(camps):
    here, there = camps
    here.add("person", "a", "Ana")
    there.add("person", "b", "Ana")
    exchange(here.site, there.site)
    assert run_command("parked", "discard", "person", "b", here.site.url).status == 0
    assert parked_join(there, "person", "a").status == 0
    meet(here, there)
    assert set(here.rows("person")) == {"a"}


def test_parked_row_is_listed_with_the_key_that_has_its_place(camps):
    here, there = camps
    here.add("person", "a", "Ana")
    there.add("person", "b", "Ana")
    exchange(here.site, there.site)
    assert "a has its place" in run_command("parked", "list", here.site.url).out
    assert "b has its place" in run_command("parked", "list", there.site.url).out


def test_decision_that_cannot_be_is_refused_with_what_to_do(camps):
    here, there = camps
    here.add("person", "a", "Ana")
    here.add("person", "c", "Cem")
    here.add("sector", "s", "Health")
    here.link("a", "s")
    there.add("person", "b", "Ana")
    exchange(here.site, there.site)
    for arguments, said in (
        (("person", "c"), "no row of person is parked under c"),
        (("person", "b", "--with", "x"), "person has no row x"),
        (("work", '["a","s"]', "--with", '["b","s"]'), "rows of work cannot be joined"),
        (("badge", "1"), "badge is not synced here"),
    ):
        done = parked_join(here, *arguments)
        assert done.status == 2, done
        assert said in done.err
    assert parked_join(here, "person", "b").status == 0
    assert "are one row already" in parked_join(here, "person", "b", "--with", "a").err
    assert run_command("parked", "discard", "person", "c", here.site.url).status == 2


# In any order


def test_alias_that_arrives_before_its_rows_joins_them_when_they_come(trio):
    here, there, third = trio
    here.add("skill", "b", "Nurse")
    there.add("skill", "a", "Nurse")
    meet(here, there)
    aliases = here.site.fetch("SELECT count(*) FROM {p}changelog WHERE table_name = '@alias'")
    assert aliases >= [(1,)]
    meet(here, there, third)
    assert third.rows("skill") == {"a": None}


def test_row_that_the_application_holds_is_joined_when_it_lets_go(camps):
    here, there = camps
    here.add("skill", "b", "Nurse")
    here.site.publish()
    there.add("skill", "a", "Nurse")
    send(here.site, there.site)
    with here.site.family.connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE skill SET note = 'mine' WHERE uuid = 'b'")
        exchange(here.site, there.site)
        assert here.site.parked() == {Row("skill", "a"): "busy"}
        cursor.execute("COMMIT")
    meet(here, there)
    assert here.rows("skill") == {"a": "mine"}

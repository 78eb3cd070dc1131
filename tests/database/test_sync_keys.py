"""A row that gets another key is the same row to the applications, in each of the four directions."""

import pytest

from tests.support.family import spell
from tests.support.sites import assert_in_step, exchange


def test_changed_key_is_the_same_person_to_the_application(pair, person):
    """R20: the references by local number stay; at the peer they follow the new key."""
    here, there = pair
    shelter = here.eden.add_shelter("Camp", person_id=person.id)
    exchange(here, there)
    here.eden.update("pr_person", person.id, uuid="urn:uuid:renamed")
    exchange(here, there)
    assert_in_step(here, there)
    found = there.eden.fetch(
        "SELECT p.uuid FROM cr_shelter s JOIN pr_person p ON p.id = s.person_id WHERE s.uuid = %s",
        [shelter.uuid],
    )
    assert found == [("urn:uuid:renamed",)]


def test_key_that_was_changed_before_anyone_looked_is_the_new_one(pair):
    here, there = pair
    made = here.eden.add_person("Anna")
    here.eden.update("pr_person", made.id, uuid="urn:uuid:renamed at once")
    exchange(here, there)
    assert there.eden.fetch("SELECT uuid FROM pr_person") == [("urn:uuid:renamed at once",)]
    assert_in_step(here, there)


def test_keys_that_two_rows_swapped_are_swapped(pair, person):
    here, there = pair
    other = here.eden.add_person("Other", "Person")
    exchange(here, there)
    with here.eden.request():
        here.eden.update("pr_person", person.id, uuid="urn:uuid:between")
        here.eden.update("pr_person", other.id, uuid=person.uuid)
        here.eden.update("pr_person", person.id, uuid=other.uuid)
    exchange(here, there)
    assert there.eden.value(person, "first_name") == "Other"
    assert there.eden.value(other, "first_name") == "Anna"
    assert_in_step(here, there)


CHAIN = """
CREATE TABLE person (id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, note varchar(20)){engine};
CREATE TABLE detail (
    person_id integer PRIMARY KEY, note varchar(20), FOREIGN KEY (person_id) REFERENCES person (id)
){engine};
CREATE TABLE remark (
    detail_id integer PRIMARY KEY, note varchar(20), FOREIGN KEY (detail_id) REFERENCES detail (person_id)
){engine};
CREATE TABLE visit (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, detail_id integer,
    FOREIGN KEY (detail_id) REFERENCES detail (person_id)
){engine}
"""
"""Rows that are named by rows that are named by rows."""
SHOWN = (
    "SELECT p.uuid, d.note, r.note, v.uuid FROM person p LEFT JOIN detail d ON d.person_id = p.id "
    "LEFT JOIN remark r ON r.detail_id = d.person_id LEFT JOIN visit v ON v.detail_id = d.person_id "
    "ORDER BY 1"
)


@pytest.fixture(params=[("postgresql", "mariadb"), ("mariadb", "postgresql")], ids="-".join)
def chains(request, new_tables):
    """Two sites with a person, its detail, a remark on that, and a visit that refers to the detail."""
    made = [new_tables(kind, spell(CHAIN, kind)) for kind in request.param]
    made[0].run(
        "INSERT INTO person (uuid) VALUES ('a'), ('b'); INSERT INTO detail VALUES (1, 'd'); "
        "INSERT INTO remark VALUES (1, 'r'); INSERT INTO visit (uuid, detail_id) VALUES ('v', 1)"
    )
    exchange(*made)
    return made


def test_r20_key_that_changed_goes_on_to_all_that_is_named_by_it_at_any_depth(chains):
    here, there = chains
    here.run("UPDATE person SET uuid = 'aa' WHERE uuid = 'a'")
    exchange(here, there)
    assert_in_step(here, there)
    assert there.fetch(SHOWN) == here.fetch(SHOWN) == [("aa", "d", "r", "v"), ("b", None, None, None)]
    assert there.parked() == {}
    there.run("DELETE FROM remark")
    exchange(here, there)
    assert_in_step(here, there)
    assert here.fetch(SHOWN)[0] == ("aa", "d", None, "v")


def test_r20_row_named_through_another_by_a_key_that_changed_is_gone_by_its_former_name(chains):
    here, there = chains
    here.run("UPDATE person SET uuid = 'aa' WHERE uuid = 'a'; DELETE FROM remark")
    exchange(here, there)
    assert_in_step(here, there)
    assert there.fetch(SHOWN)[0] == ("aa", "d", None, "v")
    assert there.parked() == {}


def test_r20_rows_named_through_others_by_keys_that_were_swapped_live_on(chains):
    here, there = chains
    here.run("INSERT INTO detail VALUES (2, 'e'); INSERT INTO remark VALUES (2, 's')")
    exchange(here, there)
    for old, new in (("a", "between"), ("b", "a"), ("between", "b")):
        here.run(f"UPDATE person SET uuid = '{new}' WHERE uuid = '{old}'")
    exchange(here, there)
    assert_in_step(here, there)
    assert there.fetch(SHOWN) == here.fetch(SHOWN) == [("a", "e", "s", None), ("b", "d", "r", "v")]
    assert there.parked() == {}

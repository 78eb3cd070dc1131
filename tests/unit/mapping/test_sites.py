"""Sites of two applications in memory, bridged by a mapping."""

import pytest

from changecapture.apply import retry
from changecapture.verify.mapped import find_unlike
from tests.support import mapped
from tests.support.family import spell
from tests.support.mapped import Choice, EdenActs, OwnActs, read_shown
from tests.support.memory import MemorySite, pull


@pytest.fixture
def pair():
    """A site of Eden's tables and one of its own."""
    eden = MemorySite(spell(mapped.EDEN, "memory"), mapped.PROFILE)
    own = MemorySite(spell(mapped.OWN, "memory"), mapping=mapped.MAPPING)
    yield eden, own
    for site in (eden, own):
        site.close()


def write_note(eden: MemorySite) -> Choice:
    """Write a person, and a note that is its story and its status; return what that is about."""
    choice = Choice("p", "p", "sms", "first")
    for act in ("write_person", "tell", "write_note"):
        EdenActs(eden.family).act(act, choice)
    return choice


def test_of_two_numbers_the_second_is_shown_where_the_application_deletes_the_first(pair):
    eden, own = pair
    choice = Choice("p", "p", "sms", "1")
    EdenActs(eden.family).write_person(choice)
    for number in "12":
        EdenActs(eden.family).add_contact(choice._replace(text=number))
    pull(eden.store, own.store)
    assert read_shown(own)["phone", "psms", 0] == "1"
    OwnActs(own.family).hang_up(choice)
    pull(own.store, eden.store)
    retry(own.store)
    assert read_shown(own)["phone", "psms", 0] == "2"
    assert find_unlike(own.store) == {} == own.parked()
    assert ("contact", "contact 1", 0) not in read_shown(eden)


def test_what_waits_for_a_record_is_shown_with_it_where_the_application_makes_it(pair):
    eden, own = pair
    choice = Choice("p", "p", "sms", "1")
    for act in ("write_person", "tell", "archive_person"):
        EdenActs(eden.family).act(act, choice)
    pull(eden.store, own.store)
    about = "SELECT about FROM story"
    assert own.family.rows(about) == [(None,)]
    OwnActs(own.family).report(choice)
    pull(own.store, eden.store)
    retry(own.store)
    assert own.family.rows(about) == [("p",)]
    assert own.fetch("SELECT 1 FROM {p}waiting") == [] == eden.fetch("SELECT 1 FROM {p}parked")
    assert own.parked() == {} == find_unlike(own.store)


def test_state_that_a_site_writes_whose_clock_is_slow_is_the_latest(pair):
    """It is said in another row than the state that the application had seen."""
    eden, own = pair
    choice = Choice("p", "p", "sms", "first")
    for act in ("write_person", "add_note"):
        EdenActs(eden.family).act(act, choice)
    pull(eden.store, own.store)
    OwnActs(own.family).write_state(choice._replace(text="second"))
    own.family("UPDATE changecapture_captured SET captured_at = captured_at - 60000000")
    pull(own.store, eden.store)
    another = MemorySite(spell(mapped.OWN, "memory"), mapping=mapped.MAPPING)
    pull(eden.store, another.store)
    assert read_shown(another)["state", "p", 0] == "second" == read_shown(own)["state", "p", 0]
    assert find_unlike(own.store) == {}
    another.close()


def test_status_that_was_a_note_too_goes_and_comes_back_with_that(pair):
    eden, own = pair
    choice = write_note(eden)
    pull(eden.store, own.store)
    for act, shown in (("burn", None), ("tell", "first")):
        OwnActs(own.family).act(act, choice)
        pull(own.store, eden.store)
        retry(own.store)
        assert read_shown(own).get(("state", "p", 0)) == shown == read_shown(eden).get(("note", "sp", 0))
        assert find_unlike(own.store) == {} == own.parked()


def test_status_that_is_a_note_too_moves_with_that(pair):
    eden, own = pair
    choice = write_note(eden)
    EdenActs(eden.family).write_person(choice._replace(key="q"))
    pull(eden.store, own.store)
    own.family("UPDATE story SET about = 'q'")
    pull(own.store, eden.store)
    retry(own.store)
    shown = read_shown(own)
    assert [shown.get(("state", key, 0)) for key in "pq"] == [None, "first"]
    assert find_unlike(own.store) == {} == own.parked()


def test_row_that_waits_to_be_shown_anew_is_shown_whole_by_what_comes_before(pair):
    eden, own = pair
    choice = write_note(eden)
    pull(eden.store, own.store)
    another = MemorySite(spell(mapped.OWN, "memory"), mapping=mapped.MAPPING)
    pull(eden.store, another.store)
    OwnActs(another.family).see(choice)
    pull(another.store, eden.store)
    OwnActs(own.family).burn(choice)
    pull(eden.store, own.store)
    shown = read_shown(own)
    assert [shown.get(("state", "p", number)) for number in (0, 1)] == [None, "first"]
    assert find_unlike(own.store) == {} == own.parked()
    another.close()


def test_person_whose_entity_comes_with_its_end_is_known_as_gone(pair):
    """In one batch: what is said of the person is plain, what is said of the entity is not."""
    eden, own = pair
    choice = Choice("p", "p", "sms", "first")
    EdenActs(eden.family).write_person(choice)
    eden.publish()
    eden.family("DELETE FROM pr_entity")
    eden.publish()
    retry(eden.store)
    pull(eden.store, own.store)
    alive = "SELECT table_name, alive FROM {p}row_version ORDER BY table_name"
    assert own.fetch(alive) == [("pr_entity", False), ("pr_person", False)] == eden.fetch(alive)

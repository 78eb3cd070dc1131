"""A row that an Eden archives, deletes or brings back is so at the other, in each of the four directions."""

import pytest

from tests.support.sites import assert_in_step, exchange


def test_soft_delete_is_shown_as_the_flag(pair, person):
    here, there = pair
    here.eden.soft_delete(person, ["pe_id", "track_id"])
    exchange(here, there)
    assert there.eden.value(person, "deleted") == "T"
    assert there.eden.fetch("SELECT deleted FROM pr_pentity WHERE uuid = %s", [person.uuid]) == [("T",)]
    assert_in_step(here, there)


def test_soft_delete_from_the_other_site_comes_home(pair, person):
    here, there = pair
    there.eden.soft_delete(there.eden.find(person), ["pe_id", "track_id"])
    exchange(here, there)
    assert here.eden.value(person, "deleted") == "T"
    assert_in_step(here, there)


@pytest.mark.parametrize("exchanged", [True, False], ids=["exchanged between", "not exchanged between"])
def test_undelete_brings_the_row_back_with_its_references(pair, person, exchanged):
    here, there = pair
    here.eden.soft_delete(person, ["pe_id", "track_id"])
    if exchanged:
        exchange(here, there)
    here.eden.undelete(person, pe_id=person.pe_id, track_id=person.track_id)
    exchange(here, there)
    found = there.eden.find(person)
    assert there.eden.value(person, "deleted") == "F"
    assert found.pe_id and found.track_id
    assert_in_step(here, there)


def test_undelete_without_the_references_is_the_same_at_both(pair, person):
    """R3: what the delete nulled stays NULL at home when the application does not set it again."""
    here, there = pair
    here.eden.soft_delete(person, ["pe_id", "track_id"])
    exchange(here, there)
    here.eden.undelete(person)
    exchange(here, there)
    assert there.eden.value(person, "pe_id") is None
    assert_in_step(here, there)


def test_update_of_an_archived_row_does_not_revive_it(pair, person):
    """R2: Eden clears links of rows that it has archived."""
    here, there = pair
    here.eden.soft_delete(person, ["pe_id", "track_id"])
    exchange(here, there)
    there.eden.change(there.eden.find(person), comments="cleared")
    exchange(here, there)
    assert here.eden.value(person, "deleted") == "T"
    assert there.eden.value(person, "deleted") == "T"
    assert_in_step(here, there)


def test_hard_delete_of_a_contact_takes_it_away_from_the_application(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "gone")
    exchange(here, there)
    assert here.eden.hard_delete(contact) == 1
    exchange(here, there)
    live = there.eden.fetch(
        "SELECT count(*) FROM pr_contact WHERE uuid = %s AND deleted = 'F'", [contact.uuid]
    )
    assert live == [(0,)]
    assert_in_step(here, there)


def test_row_that_was_deleted_for_good_may_be_inserted_again(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "first")
    exchange(here, there)
    here.eden.hard_delete(contact)
    exchange(here, there)
    here.eden.add(
        "pr_contact", uuid=contact.uuid, pe_id=person.pe_id, contact_method="SMS", value="second", priority=1
    )
    exchange(here, there)
    assert there.eden.value(contact, "value") == "second"
    assert there.eden.value(contact, "deleted") == "F"
    assert_in_step(here, there)


def test_delete_and_insert_in_one_transaction_is_an_edit(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "first")
    exchange(here, there)
    with here.eden.request():
        here.eden.hard_delete(contact)
        here.eden.add(
            "pr_contact", uuid=contact.uuid, pe_id=person.pe_id, contact_method="SMS", value="second"
        )
    exchange(here, there)
    assert there.eden.value(contact, "value") == "second"
    assert_in_step(here, there)


def test_row_that_was_inserted_and_deleted_before_anyone_looked_leaves_nothing(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "never seen")
    here.eden.hard_delete(contact)
    archived = here.eden.add_contact(person, "never seen either")
    here.eden.soft_delete(archived, ["pe_id"])
    exchange(here, there)
    for record in (contact, archived):
        live = there.eden.fetch(
            "SELECT count(*) FROM pr_contact WHERE uuid = %s AND deleted = 'F'", [record.uuid]
        )
        assert live == [(0,)]
    assert_in_step(here, there)


def test_row_that_was_archived_before_anyone_looked_can_be_brought_back(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "back")
    here.eden.soft_delete(contact, ["pe_id"])
    exchange(here, there)
    here.eden.undelete(contact, pe_id=person.pe_id)
    exchange(here, there)
    assert there.eden.value(contact, "value") == "back"
    assert_in_step(here, there)

"""Edits and deletes at two Edens at once: what stays, and what is kept as a conflict, at both alike."""

from changecapture.core.change import Row
from tests.support.sites import assert_in_step, exchange


def test_edits_of_different_columns_of_one_row_both_stay(pair, person):
    here, there = pair
    here.eden.change(person, last_name="Keller")
    there.eden.change(there.eden.find(person), gender=4, comments="seen in Galle")
    exchange(here, there)
    for site in (here, there):
        assert site.eden.value(person, "last_name") == "Keller"
        assert site.eden.value(person, "gender") == 4
    row = Row("pr_person", person.uuid)
    columns = {c[2] for site in (here, there) for c in site.conflicts() if c[:2] == row}
    assert columns <= {"modified_on"}
    assert_in_step(here, there)


def test_concurrent_edits_of_one_column_keep_one_and_record_the_other_at_both_sites(pair, person):
    here, there = pair
    here.eden.change(person, last_name="Earlier")
    there.eden.change(there.eden.find(person), last_name="Later")
    exchange(here, there)
    assert here.eden.value(person, "last_name") == "Later"
    expected = ("pr_person", person.uuid, "last_name", '"Later"', '"Earlier"')
    assert expected in here.conflicts()
    assert expected in there.conflicts()
    assert_in_step(here, there)


def test_same_edit_at_both_sites_is_no_conflict(pair, person):
    here, there = pair
    here.eden.change(person, last_name="Same")
    there.eden.change(there.eden.find(person), last_name="Same")
    exchange(here, there)
    assert not here.conflicts()
    assert not there.conflicts()
    assert_in_step(here, there)


def test_edit_after_seeing_the_other_s_edit_wins_and_is_no_conflict(pair, person):
    here, there = pair
    there.eden.change(there.eden.find(person), last_name="first")
    exchange(here, there)
    here.eden.change(person, last_name="second")
    exchange(here, there)
    assert there.eden.value(person, "last_name") == "second"
    assert not here.conflicts()
    assert_in_step(here, there)


def test_delete_loses_to_a_later_edit(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "old")
    exchange(here, there)
    here.eden.soft_delete(contact, ["pe_id"])
    there.eden.change(there.eden.find(contact), value="new")
    exchange(here, there)
    for site in (here, there):
        assert site.eden.value(contact, "deleted") == "F"
        assert site.eden.value(contact, "value") == "new"
        assert site.eden.value(contact, "pe_id") == site.eden.find(person).pe_id
        found = {c[:5] for c in site.conflicts()}
        assert ("pr_contact", contact.uuid, "@alive", "true", "false") in found
    assert_in_step(here, there)


def test_edit_loses_to_a_later_delete(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "old")
    exchange(here, there)
    there.eden.change(there.eden.find(contact), value="new")
    here.eden.soft_delete(contact, ["pe_id"])
    exchange(here, there)
    for site in (here, there):
        assert site.eden.value(contact, "deleted") == "T"
        assert ("pr_contact", contact.uuid, "@alive", "false", "true") in site.conflicts()
    assert_in_step(here, there)


def test_hard_delete_loses_to_a_later_edit(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "old")
    exchange(here, there)
    here.eden.hard_delete(contact)
    there.eden.change(there.eden.find(contact), value="new")
    exchange(here, there)
    assert here.eden.value(contact, "value") == "new"
    assert here.eden.value(contact, "contact_method") == "SMS"
    assert_in_step(here, there)


def test_edit_loses_to_a_later_hard_delete(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "old")
    exchange(here, there)
    there.eden.change(there.eden.find(contact), value="new")
    here.eden.hard_delete(contact)
    exchange(here, there)
    assert_in_step(here, there)
    assert ("pr_contact", contact.uuid, "@alive", "false", "true") in there.conflicts()


def test_delete_at_both_sites_is_a_delete(pair, person):
    here, there = pair
    contact = here.eden.add_contact(person, "old")
    exchange(here, there)
    here.eden.hard_delete(contact)
    there.eden.soft_delete(there.eden.find(contact), ["pe_id"])
    exchange(here, there)
    assert_in_step(here, there)
    assert not here.conflicts() - {c for c in here.conflicts() if c[2] == "modified_on"}

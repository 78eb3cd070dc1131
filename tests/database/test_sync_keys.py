"""A row that gets another key is the same row to the applications, in each of the four directions."""

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

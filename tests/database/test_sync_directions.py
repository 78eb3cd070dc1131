"""What Eden writes at one site is shown at the other, in all four directions, and nothing echoes.

Every test ends in step: both sites show the same rows, no row is parked, a further exchange moves
nothing."""

from itertools import pairwise

import pytest

from tests.database.conftest import DIRECTIONS
from tests.support.sites import assert_in_step, exchange

pytestmark = pytest.mark.parametrize("pair", DIRECTIONS, indirect=True, ids="-".join)


def test_person_arrives_with_its_super_entities(pair, person):
    here, there = pair
    found = there.eden.find(person)
    assert there.eden.value(person, "first_name") == "Anna"
    rows = there.eden.fetch("SELECT pe_id, deleted FROM pr_pentity WHERE uuid = %s", [person.uuid])
    assert rows == [(found.pe_id, "F")]
    rows = there.eden.fetch("SELECT track_id, deleted FROM sit_trackable WHERE uuid = %s", [person.uuid])
    assert rows == [(found.track_id, "F")]
    assert there.eden.fetch("SELECT value FROM pr_contact WHERE pe_id = %s", [found.pe_id]) == [
        ("+94 11 123",)
    ]
    assert_in_step(here, there)


def test_row_that_the_relay_writes_is_live_to_the_application(pair, person):
    _, there = pair
    assert there.eden.value(person, "deleted") == "F"


def test_shelter_arrives_with_its_site_and_its_place_in_the_tree(pair):
    here, there = pair
    country = here.eden.add_location("Sri Lanka", level="L0")
    district = here.eden.add_location("Galle", country, level="L1", lat=6.0329, lon=80.2168)
    shelter = here.eden.add_shelter("Temple", district, phone="1")
    exchange(here, there)
    found = there.eden.find(shelter)
    place = there.eden.find(district)
    assert there.eden.value(shelter, "location_id") == place.id
    assert there.eden.value(district, "parent") == there.eden.find(country).id
    assert there.eden.fetch("SELECT name FROM org_site WHERE site_id = %s", [found.site_id]) == [("Temple",)]
    assert_in_step(here, there)


def test_parent_that_was_inserted_after_its_child_is_found(pair):
    """A reference set later, in the same batch, to a row that was inserted later."""
    here, there = pair
    child = here.eden.add_location("child")
    parent = here.eden.add_location("parent")
    here.eden.change(child, parent=parent.id)
    exchange(here, there)
    assert there.eden.value(child, "parent") == there.eden.find(parent).id
    assert_in_step(here, there)


def test_row_may_refer_to_itself(pair):
    here, there = pair
    place = here.eden.add_location("own parent")
    here.eden.change(place, parent=place.id)
    exchange(here, there)
    assert there.eden.value(place, "parent") == there.eden.find(place).id
    assert_in_step(here, there)


def test_chain_of_places_inserted_from_the_leaves_arrives_whole(pair):
    here, there = pair
    places = [here.eden.add_location(f"level {n}") for n in range(6)]
    for child, parent in pairwise(places):
        here.eden.change(child, parent=parent.id)
    exchange(here, there)
    assert_in_step(here, there)


def test_rows_of_both_sites_go_both_ways(pair):
    here, there = pair
    for number in range(5):
        here.eden.add_contact(here.eden.add_person(f"here {number}"), "1")
        there.eden.add_contact(there.eden.add_person(f"there {number}"), "2")
    exchange(here, there)
    assert assert_in_step(here, there).rows["pr_person"] == 10


def test_many_rows_of_one_transaction_arrive_in_bounded_passes(pair):
    here, there = pair
    with here.eden.request():
        place = here.eden.add_location("root")
        for number in range(1500):
            place = here.eden.add_location(f"place {number}", place if number % 7 else None)
    here.eden.add_person("after")
    exchange(here, there)
    assert assert_in_step(here, there).rows["gis_location"] == 1501


def test_rows_with_required_references_arrive(pair):
    here, there = pair
    item = here.eden.add("supply_item", name="rice", um="kg")
    other = here.eden.add("supply_item", name="bread", um="piece")
    here.eden.add("supply_item_alt", item_id=item.id, alt_item_id=other.id, quantity=2.5)
    exchange(here, there)
    assert assert_in_step(here, there).rows["supply_item_alt"] == 1

"""Rows that sites were seeded with under other keys, and that meet in a file that a person carries."""

from dataclasses import replace
from itertools import count

import pytest

from changecapture.core.change import Row
from changecapture.record.export import Wanted, export_rows
from changecapture.record.load import import_rows
from changecapture.review import join_parked
from changecapture.sync import answer, next_request, receive
from tests.support.memory import MemorySite, pull
from tests.support.seeds import PROFILE, Seeds, script


@pytest.fixture
def camps():
    """Three sites of the application that is seeded."""
    clock = count(1_795_000_000_000_000, 1000)
    made = [MemorySite(script("memory"), PROFILE, clock.__next__, origin) for origin in "abc"]
    yield [Seeds(site) for site in made]
    for site in made:
        site.close()


@pytest.fixture(params=["json", "xml", "csv"])
def carry(request, tmp_path):
    """Write what a site has into a file, and take it at another."""
    numbers = count()

    def carry(source, target):
        path = tmp_path / f"{next(numbers)}.{request.param}"
        export_rows(source.site.store, path, request.param, Wanted(deleted=True))
        loaded = import_rows(target.site.store, path)
        assert (loaded.refused, loaded.parked) == ([], [])
        return loaded

    return carry


def meet(*camps):
    for _ in range(2):
        for left in camps:
            for right in camps:
                if left is not right:
                    pull(left.site.store, right.site.store)
    shown = [(camp.rows("skill"), camp.rows("sector"), camp.site.parked()) for camp in camps]
    assert all(one == shown[0] for one in shown)
    assert shown[0][2] == {}


@pytest.mark.parametrize("table", ["skill", "sector"])
def test_row_that_two_sites_were_seeded_with_is_one_row(camps, carry, table):
    here, there, third = camps
    here.add(table, "b", "Nurse")
    there.add(table, "a", "Nurse")
    carry(here, there)
    assert there.rows(table) == {"a": None}
    there.set(table, "a", note="there")
    carry(there, here)
    assert here.rows(table) == {"a": "there"}
    meet(here, there, third)
    assert third.rows(table) == {"a": "there"}


def test_rows_of_two_files_are_one_row_at_a_site_that_had_neither(camps, carry):
    here, there, third = camps
    here.add("sector", "b", "Nurse")
    there.add("sector", "a", "Nurse")
    carry(here, third)
    carry(there, third)
    assert third.rows("sector") == {"a": None}
    meet(here, there, third)


def test_rows_that_a_site_wrote_side_by_side_stay_two_in_whatever_files_they_come(camps, carry):
    here, there, third = camps
    here.add("sector", "a", "Nurse")
    carry(here, there)
    here.add("sector", "b", "Nurse")
    carry(here, there)
    carry(there, third)
    assert here.rows("sector") == there.rows("sector") == third.rows("sector") == {"a": None, "b": None}
    meet(here, there, third)
    assert third.rows("sector") == {"a": None, "b": None}


def test_what_a_person_joined_is_one_row_where_the_file_is_taken(camps, carry):
    here, there, third = camps
    here.add("sector", "a", "Nurse")
    here.add("sector", "b", "Nursing")
    carry(here, there)
    there.set("sector", "b", note="there")
    join_parked(here.site.store, Row("sector", "b"), "a")
    carry(here, there)
    assert there.rows("sector") == {"a": "there"}
    meet(here, there, third)


def test_row_that_was_deleted_under_all_its_keys_goes_where_it_is_known_to_be_under_one(camps, carry):
    """The third has the one half of a deletion, that of a key that it has not heard of otherwise."""
    here, there, third = camps
    here.add("skill", "a", "Nurse")
    there.add("skill", "b", "Nurse")
    pull(there.site.store, third.site.store)
    carry(here, there)
    there.delete("skill", "a")
    there.site.publish()
    request = replace(next_request(third.site.store, "b"), limit=3)
    receive(third.site.store, "b", answer(there.site.store, request).payload)
    assert third.rows("skill") == {"a": None}
    carry(there, third)
    assert third.rows("skill") == {}


def test_row_that_lives_by_one_of_its_keys_alone_lives_where_the_file_is_taken(camps, carry):
    """One had deleted its own before it heard that there are two."""
    here, there, _ = camps
    here.add("sector", "a", "Nurse")
    there.add("sector", "b", "Nurse")
    carry(here, there)
    here.delete("sector", "a")
    carry(here, there)
    carry(there, here)
    assert here.rows("sector") == there.rows("sector") == {"a": None}

"""Rows that are one thing, at whole sites in memory: what comes of one is shown of all, everywhere."""

from itertools import count

import pytest

from changecapture.apply import retry
from tests.support import family
from tests.support.compare import compare_readers
from tests.support.interrupt import InterruptedStore
from tests.support.memory import MemorySite, pull
from tests.support.sites import assert_sound_log
from tests.support.things import PROFILE, TABLES, Choice, Things, read_edges

ANA = Choice("person", "Ana", "", "", "", 1)
CREW = Choice("unit", "crew", "", "", "", 1)


@pytest.fixture
def sites(tmp_path):
    profile = tmp_path / "things.toml"
    profile.write_text(PROFILE)
    ticks = count(1_700_000_000_000_000)
    script = family.spell(TABLES, "memory")
    return [MemorySite(script, str(profile), lambda: next(ticks), name) for name in "abc"]


def do(site, choice, *names):
    """Do some things, published as one pass."""
    for name in names:
        assert Things(site.family).act(name, choice)
    site.publish()


def pull_beside(source, target, moment, choice, name):
    """Pull; the application does a thing in the middle of it."""

    def act():
        with target.store.application():
            assert Things(target.family).act(name, choice)

    store = InterruptedStore(target.store, moment, act)
    pull(source.store, store)
    assert store.done


def settle(*sites):
    """Exchange, and look at what is left in the end."""
    for _ in range(2):
        for site in sites:
            retry(site.store)
        for source in sites:
            for target in sites:
                if source is not target:
                    pull(source.store, target.store)
    for site in sites:
        assert site.parked() == {} and site.set_aside() == []
        assert_sound_log(site)
    left, *others = sites
    for right in others:
        with left.reader() as ours, right.reader() as theirs:
            assert compare_readers(ours, theirs).differences == ()


def flags(site, table):
    return site.family.rows(f"SELECT uuid, deleted FROM {table}")


def test_entry_of_an_archived_instance_is_kept_where_its_entity_is_shown_for_what_refers_to_it(sites):
    """Of the batch the instance was merged first, and then once more with its entity."""
    a, b, _ = sites
    do(a, ANA, "write_thing", "write_contact", "archive_thing")
    settle(a, b)
    assert len(b.entries("person", "person Ana")) == 1
    assert flags(b, "entity") == [("person Ana", "T")]


def test_row_that_was_made_and_archived_in_one_pass_is_shown_as_it_is_to_what_refers_to_it(sites):
    a, b, _ = sites
    do(a, ANA, "write_entity", "write_contact", "archive_entity")
    settle(a, b)
    for site in (a, b):
        assert site.family.rows("SELECT instance_type, note, deleted FROM entity") == [("person", "1", "T")]


@pytest.mark.parametrize("end", ["archive_entity", "delete_entity"])
def test_edit_of_an_instance_beside_the_end_of_its_entity_ends_alike_at_home(sites, end):
    """The latest word decides about both, at home as elsewhere."""
    a, b, _ = sites
    do(a, ANA, "write_thing")
    settle(a, b)
    do(a, ANA._replace(number=2), "write_thing", end)
    settle(a, b)
    assert {flag for _, flag in flags(a, "person") + flags(a, "entity")} in ({"T"}, {"F"})


@pytest.mark.parametrize("here", [True, False], ids=["written here", "received"])
def test_new_instance_of_a_dead_thing_brings_it_back(sites, here):
    """Nothing is known of the row itself, so that it could be taken for one that needs no decision."""
    a, b, _ = sites
    do(a, CREW, "write_entity")
    settle(a, b)
    do(a, CREW, "archive_entity")
    settle(a, b)
    do(a if here else b, CREW, "write_thing")
    settle(a, b)
    for site in (a, b):
        assert flags(site, "entity") == flags(site, "unit") == [("unit crew", "F")]


@pytest.mark.parametrize("end", ["archive_thing", "delete_entity"])
def test_row_whose_entity_the_application_ends_as_it_comes_waits_for_nothing(sites, end):
    a, b, _ = sites
    do(a, CREW, "write_entity")
    pull(a.store, b.store)
    do(a, CREW, "write_thing")
    pull_beside(a, b, "read_versions", CREW, end)
    settle(a, b)


def test_archived_place_stands_in_no_tree_where_what_stood_above_it_came_below(sites):
    """Archiving emptied its edge at home, unsaid (R3): with the one that it had elsewhere there would be a
    circle."""
    a, b, _ = sites
    top, low = (Choice("", "", place, other, "", 1) for place, other in (("top", "mid"), ("low", "mid")))
    mid = Choice("", "", "mid", "top", "", 1)
    for choice in (top, mid, low):
        do(a, choice, "write_place")
    settle(a, b)
    do(a, mid, "archive_place")
    do(a, top._replace(other="low"), "move_place")
    settle(a, b)
    for site in (a, b):
        assert dict(read_edges(site.family)) == {"top": "low", "low": "mid"}


def test_row_that_no_index_keeps_one_is_looked_for_once_the_others_are_held(sites):
    """The application makes it too, while the rest of the batch is being locked (R6)."""
    a, b, _ = sites
    top = Choice("", "", "top", "", "", 1)
    do(a, top, "write_place")
    pull(a.store, b.store)
    Things(a.family).act("note_place", top)
    do(a, CREW, "write_entity")
    pull_beside(a, b, "hold_rows", CREW, "write_thing")
    settle(a, b)
    assert flags(b, "entity") == [("unit crew", "F")]


def test_row_that_lives_by_the_word_on_another_does_not_die_of_an_edit_that_comes_late(sites):
    """Its own latest word is that it is dead: alone it cannot be merged from its entries."""
    a, b, c = sites
    do(a, ANA, "write_thing")
    settle(*sites)
    do(c, ANA._replace(number=2), "write_entity")
    do(b, ANA, "archive_thing")
    do(a, ANA._replace(number=3), "write_thing")
    pull(a.store, b.store)
    pull(c.store, b.store)
    settle(*sites)
    assert b.family.rows("SELECT note, deleted FROM entity") == [("2", "F")]


def test_row_whose_entity_the_application_deletes_as_it_comes_is_shown_with_that_flagged(sites):
    """Until the deletion is published the row waits for the entity to come."""
    a, b, _ = sites
    do(a, CREW, "write_thing")
    settle(a, b)
    do(a, CREW, "write_contact")
    pull_beside(a, b, "read_versions", CREW, "delete_entity")
    settle(a, b)
    assert flags(b, "entity") == [("unit crew", "T")]


def test_edit_of_an_archived_place_carries_the_place_that_its_application_saw(sites):
    """What another site wrote of it since is merged, and not shown in a row that is archived."""
    a, b, c = sites
    place = Choice("", "", "camp", "", "lat", 1)
    do(a, place, "write_place")
    settle(*sites)
    do(b, place, "archive_place")
    pull(b.store, c.store)
    do(c, place._replace(column="lon", number=2), "shift_place")
    pull(c.store, b.store)
    do(b, place._replace(number=3), "shift_place")
    do(a, place, "note_place")
    settle(*sites)
    for site in sites:
        assert site.family.rows("SELECT lat, lon, deleted FROM place") == [(3, 1, "F")]


def test_row_that_is_made_anew_and_archived_in_one_pass_is_shown_as_it_is_to_what_refers_to_it(sites):
    """It was deleted for good before: nobody has its columns any more."""
    a, b, _ = sites
    do(a, ANA, "write_thing")
    do(a, ANA, "delete_thing")
    settle(a, b)
    do(a, ANA, "write_thing", "write_contact", "archive_entity")
    settle(a, b)
    for site in (a, b):
        assert site.family.rows("SELECT instance_type, note, deleted FROM entity") == [("person", "1", "T")]

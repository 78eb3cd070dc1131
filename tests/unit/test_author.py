"""What a site says itself has the next of its names, in the order of its log, whoever else writes there."""

from itertools import count

import pytest

from changecapture.apply import apply_own
from changecapture.author import Author
from changecapture.core.change import ALIVE, Row
from changecapture.errors import RetryLater
from changecapture.review import keep_shown, read_conflicts
from tests.support import family
from tests.support.interrupt import InterruptedStore
from tests.support.memory import MemorySite, pull


@pytest.fixture
def sites():
    """Two sites that have written of one parent, each without the other's word."""
    ticks = count(1_700_000_000_000_000)
    here, there = (
        MemorySite(family.spell(family.TABLES, "memory"), "generic", lambda: next(ticks), name)
        for name in ("here", "there")
    )
    here.family.add_parent("p")
    exchange(here, there)
    here.family.note("parent", "p", "mine")
    there.family.note("parent", "p", "yours")
    exchange(here, there)
    return here, there


def exchange(*sites):
    for source, target in (sites, sites[::-1]) * 2:
        source.publish()
        pull(source.store, target.store)


def own_names(site):
    return site.fetch("SELECT number FROM {p}changelog WHERE origin = %s ORDER BY number", [site.origin])


@pytest.mark.parametrize("moment", ["read_versions", "read_clock", "applying", "read_row_entries"])
def test_decision_keeps_its_name_when_the_application_writes_while_it_is_made(sites, moment):
    """Its own name, and none between: a peer's vector would claim what it never got."""
    here, there = sites
    (conflict,) = read_conflicts(here.store)
    before = here.store.read_site().last_number

    def write():
        with here.store.application():
            here.family.note("parent", "p", "meanwhile")

    assert keep_shown(InterruptedStore(here.store, moment, write), conflict)
    exchange(here, there)
    assert here.family.shown("parent") == there.family.shown("parent")
    last = here.store.read_site().last_number
    assert last == before + 2, "the decision and what the application wrote"
    assert own_names(here) == [(number,) for number in range(1, last + 1)]
    assert here.store.read_vector()["here", 1, "all"] == last
    assert here.fetch("SELECT count(*) FROM {p}changelog") == there.fetch("SELECT count(*) FROM {p}changelog")


def test_what_is_said_twice_of_a_row_in_one_pass_is_in_order_and_follows(sites):
    here, there = sites
    table, row = here.store.tables_by_wire["parent"], Row("parent", "p")
    with here.store.lock():
        author = Author(here.store)
        version = here.store.read_versions([row])[row]
        for note in ("once", "twice"):
            author.say(table, row, {"note": note}, stamp=version.stamp + 9, base=version.seen, known=())
        first, second = author.entries
        assert (second.number, second.stamp) == (first.number + 1, first.stamp + 1)
        apply_own(here.store, author)
    exchange(here, there)
    assert here.family.shown("parent")["p"] == there.family.shown("parent")["p"] == "twice"


def test_pass_that_is_not_written_has_used_no_name(sites):
    here, _ = sites
    before = here.store.read_site()

    def fail():
        raise RetryLater("not now")

    with here.store.lock():
        author = Author(here.store)
        table = here.store.tables_by_wire["parent"]
        author.say(table, Row("parent", "n"), {ALIVE: True}, stamp=1, base=0, known=())
        with pytest.raises(RetryLater):
            apply_own(here.store, author, fail)
    assert here.store.read_site() == before
    assert "n" not in here.family.shown("parent")

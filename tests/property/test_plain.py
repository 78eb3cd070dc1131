"""Rows written in bulk (apply/plain.py, publish/plain.py) come to the same as rows that are merged singly."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from changecapture.apply import retry
from changecapture.errors import DataError
from changecapture.publish import publish
from changecapture.sync import answer, next_request, receive
from tests.support import family
from tests.support.memory import MemorySite, pull
from tests.support.plain import ThoroughStore, read_all
from tests.support.things import ACTS, PROFILE, TABLES, Choice, Things

KEYS = ("a", "b", "c", "d")
key = st.sampled_from(KEYS)
maybe = st.none() | key
text = st.sampled_from(("x", "y", "it's 100 %\\\t\n", ""))
written = st.one_of(
    st.tuples(st.just("add_parent"), key, maybe, maybe),
    st.tuples(st.just("add_child"), key, key, maybe, maybe),
    st.tuples(st.just("add_toy"), key, key),
    st.tuples(st.just("add_link"), key, key, st.none() | text),
    st.tuples(st.just("note"), st.sampled_from(("parent", "child", "toy")), key, text),
    st.tuples(st.just("rename"), st.sampled_from(("parent", "child", "toy")), key, key),
    st.tuples(st.just("refer"), key, st.sampled_from(("must", "may", "keep")), key),
)
choices = st.builds(
    Choice,
    st.sampled_from(("person", "unit")),
    st.sampled_from("12"),
    st.sampled_from("xy"),
    st.sampled_from("xy"),
    st.sampled_from(("lat", "lon")),
    st.integers(1, 3),
)
things_steps = st.lists(
    st.tuples(st.sampled_from("abt"), st.tuples(st.sampled_from(ACTS), choices)), max_size=20
)
deleted = st.tuples(st.just("delete"), st.sampled_from(("parent", "child", "toy")), key)
steps = st.lists(st.tuples(st.sampled_from("abt"), st.one_of(*[written] * 9, deleted)), max_size=25)
BORN_AGAIN = [
    ("a", ("delete", "parent", "b")),
    ("a", ("note", "parent", "a", "x")),
    ("a", ("add_parent", "b", None, None)),
]
"""A row is inserted that was published as deleted."""
BORN_PARKED = [
    ("b", ("add_parent", "d", None, None)),
    ("a", ("note", "parent", "a", "x")),
    ("a", ("delete", "parent", "d")),
    ("b", ("add_child", "c", "d", None, None)),
    ("a", ("note", "parent", "a", "y")),
    ("a", ("add_child", "c", "a", None, None)),
]
"""A row is inserted that is parked: another site's child of a parent that is gone here."""
met = st.lists(st.tuples(st.sampled_from(("ab", "ba", "at", "ta", "bt")), st.integers(0, 25)), max_size=4)


def make_sites(tables: str = family.TABLES, profile: str = "generic") -> dict[str, MemorySite]:
    now = iter(range(1_700_000_000_000_000, 1_800_000_000_000_000, 7))
    script = family.spell(tables, "memory")
    return {name: MemorySite(script, profile, lambda: next(now), name) for name in "abt"}


@pytest.fixture(scope="module")
def things(tmp_path_factory) -> str:
    """The profile of things."""
    path = tmp_path_factory.mktemp("things") / "things.toml"
    path.write_text(PROFILE)
    return str(path)


def live(sites: dict[str, MemorySite], history: Sequence, meetings: Sequence) -> None:
    """Let all sites have some rows, and then write and meet."""
    sites["a"].family.add_parent("a")
    sites["a"].family.add_parent("b", "a")
    sites["a"].family.add_child("a", "a", "b")
    go_on(sites, history, meetings, lambda site: site.family)


def live_as_things(sites: dict[str, MemorySite], history: Sequence, meetings: Sequence) -> None:
    """The same where rows are one thing, stand in trees, and are archived by a flag."""
    does = Things(sites["a"].family)
    for name in ("write_thing", "write_contact", "write_place"):
        does.act(name, Choice("person", "1", "x", "y", "lat", 1))
    go_on(sites, history, meetings, lambda site: Things(site.family))


def go_on(sites: dict[str, MemorySite], history: Sequence, meetings: Sequence, does: Callable) -> None:
    for other in "bt":
        pull(sites["a"].store, sites[other].store)
    for place, (name, (verb, *arguments)) in enumerate(history):
        for route, at in meetings:
            if at == place:
                pull(sites[route[0]].store, sites[route[1]].store)
        try:
            getattr(does(sites[name]), verb)(*arguments)
        except DataError:
            pass  # the application is refused: nothing was written


@settings(max_examples=150, deadline=None)
@example([("a", ("note", "parent", "a", "x")), ("b", ("note", "parent", "a", "y"))], [], 100)
@example([("t", ("note", "parent", "a", "x")), ("a", ("note", "parent", "a", "y"))], [], 100)
@example([("t", ("delete", "parent", "b")), ("a", ("add_child", "c", "a", "b", None))], [], 100)
@given(steps, met, st.sampled_from((1, 2, 5, 100)))
def test_batch_comes_to_the_same_in_bulk_and_row_by_row(history, meetings, limit):
    sites = make_sites()
    live(sites, history, meetings)
    take_both_ways(sites, limit)


@settings(max_examples=40, deadline=None)
@given(things_steps, met, st.sampled_from((1, 2, 5, 100)))
def test_batch_of_things_comes_to_the_same_in_bulk_and_row_by_row(things, history, meetings, limit):
    sites = make_sites(TABLES, things)
    live_as_things(sites, history, meetings)
    take_both_ways(sites, limit)


def take_both_ways(sites: dict[str, MemorySite], limit: int) -> None:
    """Let a site take what another has, in bulk and row by row, and compare what it has then."""
    pull(sites["b"].store, sites["a"].store)
    here, there = sites["a"].store, sites["t"]
    while publish(here):
        pass
    while publish(there.store):
        pass
    before, found = there.store.dump(), []
    for store in (there.store, ThoroughStore(there.store)):
        there.restore(before)
        last = False
        request = replace(next_request(there.store, "a"), limit=limit)
        while not last:
            made = answer(here, request)
            receive(store, "a", made.payload)
            last = made.last
            request = replace(next_request(there.store, "a"), limit=limit)
        retry(store)
        found.append(read_all(there))
        assert there.set_aside() == []
    assert found[0] == found[1]


@settings(max_examples=150, deadline=None)
@example([("a", ("refer", "a", "keep", "b"))], [])
@example(BORN_AGAIN, [("ab", 1), ("ab", 2)])
@example(BORN_PARKED, [("ba", 1), ("ba", 4), ("ab", 5)])
@given(steps, met)
def test_pass_comes_to_the_same_in_bulk_and_row_by_row(history, meetings):
    sites = make_sites()
    live(sites, history, meetings)
    publish_both_ways(sites["a"])


@settings(max_examples=40, deadline=None)
@given(things_steps, met)
def test_pass_of_things_comes_to_the_same_in_bulk_and_row_by_row(things, history, meetings):
    sites = make_sites(TABLES, things)
    live_as_things(sites, history, meetings)
    publish_both_ways(sites["a"])


def publish_both_ways(here: MemorySite) -> None:
    """Publish what a site wrote, in bulk and row by row, and compare what it has then."""
    before, found = here.store.dump(), []
    for store in (here.store, ThoroughStore(here.store)):
        here.restore(before)
        while publish(store, 4):
            pass
        found.append(read_all(here))
        assert here.set_aside() == []
    assert found[0] == found[1]


def test_conflict_is_settled_by_an_edit_that_has_nothing_else_to_decide():
    a, b, _ = make_sites().values()
    a.family.add_parent("a")
    pull(a.store, b.store)
    a.family.note("parent", "a", "one")
    b.family.note("parent", "a", "the other")
    pull(a.store, b.store)
    pull(b.store, a.store)
    a.family.note("parent", "a", "both are wrong")
    pull(a.store, b.store)
    for site in (a, b):
        assert site.fetch("SELECT count(*), count(resolved_at) FROM {p}conflict") == [(1, 1)]

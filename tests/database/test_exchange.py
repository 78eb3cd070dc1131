"""Pulls that are cut, resumed, repeated and answered by the wrong site (R11)."""

from dataclasses import replace

import pytest

from changecapture.core.codec import decode_batch, encode_batch
from changecapture.core.vector import dump_vector
from changecapture.errors import PeerError
from changecapture.greeting import greet
from changecapture.pair import pull
from changecapture.sync import answer, follow_backlog, next_request, receive
from tests.support.sites import assert_in_step, assert_sound_log, exchange, send


@pytest.fixture
def trio(new_site):
    return [new_site(kind, "family") for kind in ("postgresql", "mariadb", "postgresql")]


def write_words(site, count, prefix="w"):
    for number in range(count):
        site.family("INSERT INTO word (text) VALUES (%s)", f"{prefix}{number}")
    site.publish()


def take_batch(source, target, limit):
    """Pull one answer of at most so many entries; return what came of it."""
    request = replace(next_request(target.store, source.origin), limit=limit)
    return receive(target.store, source.origin, answer(source.store, request).payload)


def held(site):
    return site.store.read_vector()


def test_vector_is_raised_only_when_a_pull_has_reached_its_end(families):
    here, there = families
    write_words(here, 5)
    for _ in range(2):
        assert not take_batch(here, there, 2).last
        assert held(there) == {}
    assert take_batch(here, there, 2).last
    assert held(there) == held(here)
    assert len(there.family.rows("SELECT text FROM word")) == 5


def test_cut_pull_is_resumed_where_it_was(families):
    here, there = families
    write_words(here, 5)
    take_batch(here, there, 3)
    progress = there.store.read_progress(here.origin)
    assert progress.end == here.store.last_position() == progress.position + 2
    assert send(here, there) == 2
    assert_in_step(here, there)


def test_end_of_a_pull_is_what_the_sender_named_at_its_start(families):
    """What is written meanwhile is of the next pull; the vector says no more than what has come."""
    here, there = families
    write_words(here, 3)
    take_batch(here, there, 2)
    named = held(here)
    write_words(here, 3, "late ")
    received = take_batch(here, there, 100)
    assert (received.entries, received.last) == (1, True)
    assert held(there) == named
    assert send(here, there) == 3
    assert_in_step(here, there)


def test_what_has_come_since_a_backlog_follows_it_and_nothing_comes_twice(families):
    """It is asked for, and answered, before the backlog is durable."""
    here, there = families
    write_words(there, 1, "own ")
    write_words(here, 5)
    backlog = answer(here.store, next_request(there.store, here.origin)).payload
    write_words(here, 2, "late ")
    request = follow_backlog(next_request(there.store, here.origin), backlog, 5)
    assert request is not None
    send(there, here)
    late = answer(here.store, request).payload
    assert follow_backlog(request, late, 5) is None
    with pytest.raises(PeerError, match="does not"):
        receive(there.store, here.origin, late)
    for payload, entries in ((backlog, 5), (late, 2)):
        received = receive(there.store, here.origin, payload)
        assert (received.entries, received.last) == (entries, True)
    assert send(here, there) == 0
    assert_in_step(here, there)


def test_what_a_cut_pull_brought_is_not_claimed_towards_others(trio):
    """R11: the third site must not believe that it has all when it has a part, through a middle one."""
    first, middle, last = trio
    write_words(first, 4)
    take_batch(first, middle, 2)
    send(middle, last)
    assert held(last) == held(middle) == {}
    send(first, last)
    assert len(last.family.rows("SELECT text FROM word")) == 4
    exchange(first, middle)
    for left, right in ((first, middle), (middle, last)):
        assert_in_step(left, right)


def test_batch_that_came_twice_is_refused_or_harmless(families):
    here, there = families
    write_words(here, 4)
    request = replace(next_request(there.store, here.origin), limit=2)
    first = answer(here.store, request).payload
    receive(there.store, here.origin, first)
    with pytest.raises(PeerError, match="does not follow"):
        receive(there.store, here.origin, first)
    send(here, there)
    assert_in_step(here, there)


def test_batch_of_another_site_is_refused(trio):
    first, middle, last = trio
    write_words(first, 1)
    payload = answer(first.store, next_request(last.store, first.origin)).payload
    with pytest.raises(PeerError, match="is from"):
        receive(last.store, middle.origin, payload)
    assert last.family.rows("SELECT text FROM word") == []


def test_batch_that_begins_above_what_is_here_is_refused(families):
    """The sender remembers a receiver that has since been restored from a backup."""
    here, there = families
    write_words(here, 2)
    request = next_request(there.store, here.origin)
    claimed = replace(request, vector=dump_vector({(here.origin, 1, "all"): 2}))
    with pytest.raises(PeerError, match="begins above"):
        receive(there.store, here.origin, answer(here.store, claimed).payload)
    send(here, there)
    assert_in_step(here, there)


def test_new_epoch_of_the_sender_makes_positions_void(families):
    here, there = families
    write_words(here, 3)
    take_batch(here, there, 2)
    here.run(f"UPDATE {here.prefix}site SET epoch = 2, last_number = 0, last_pass = 0")
    write_words(here, 2, "new ")
    assert send(here, there) == 3
    assert len(there.family.rows("SELECT text FROM word")) == 5
    assert_in_step(here, there)


def test_other_protocol_is_refused_before_anything_is_read(families):
    here, there = families
    with pytest.raises(PeerError, match="protocol"):
        answer(here.store, replace(next_request(there.store, here.origin), protocol=2))


def test_site_does_not_exchange_with_itself(home):
    with pytest.raises(PeerError, match="same site"):
        exchange(home, home)


def test_empty_answer_writes_nothing(families):
    here, there = families
    write_words(here, 1)
    exchange(here, there)
    before = there.fetch("SELECT * FROM {p}peer")
    received = take_batch(here, there, 10)
    assert (received.entries, received.last) == (0, True)
    assert there.fetch("SELECT * FROM {p}peer") == before


def test_large_batch_is_applied_in_parts_and_all_of_it(families):
    here, there = families
    values = ", ".join(f"('w{n}', 'n')" for n in range(4500))
    here.family(f"INSERT INTO word (text, note) VALUES {values}")
    assert send(here, there) == 4500
    assert_sound_log(there)
    exchange(here, there)
    assert assert_in_step(here, there).total == 4500


def test_entries_and_passes_are_those_of_the_author_after_two_hops(trio):
    first, middle, last = trio
    write_words(first, 2)
    for source, target in ((first, middle), (middle, last)):
        pull(source.store, target.store)
    pick = "SELECT origin, epoch, number, stamp, base_seen, scope, table_name, row_key FROM {p}changelog"
    assert sorted(first.fetch(pick)) == sorted(last.fetch(pick))
    assert first.fetch("SELECT context FROM {p}context") == last.fetch("SELECT context FROM {p}context")


def test_batch_decodes_and_encodes_to_the_same(families):
    here, there = families
    write_words(here, 3)
    batch = decode_batch(answer(here.store, next_request(there.store, here.origin)).payload)
    assert decode_batch(encode_batch(batch)) == batch
    assert [e.key for e in batch.entries] == ["w0", "w1", "w2"]


def test_greeting_says_who_the_site_is_and_what_it_holds(home):
    write_words(home, 1)
    greeting = greet(home.store)
    assert greeting.site == home.origin
    assert home.origin in greeting.vector
    assert abs(greeting.clock - home.store.read_clock()) < 5_000_000

"""Wrong clocks on real stores: 1970, 2099, jumps; skew; stamps put right while nobody has them (R15)."""

from dataclasses import replace

import pytest

from changecapture.clocks import SECOND, correct_stamps
from changecapture.core.codec import decode_batch
from changecapture.greeting import Measured, greet, meet
from changecapture.pair import introduce
from changecapture.status import read_status
from changecapture.sync import answer, next_request
from tests.support.sites import assert_in_step, assert_sound_log, exchange, send

YEAR = 365 * 86_400 * SECOND
TIMES = {"1970": 1_000_000, "2099": 129 * YEAR}


def capture_at(site, at):
    site.run(f"UPDATE {site.prefix}captured SET captured_at = {at}")


def note(site, value, at=None):
    site.family("UPDATE word SET note = %s", value)
    if at is not None:
        capture_at(site, at)
    site.publish()


def word(site):
    return site.family.rows("SELECT note FROM word")


@pytest.mark.parametrize("wrong", TIMES)
@pytest.mark.parametrize("who", [0, 1])
def test_edit_made_after_seeing_a_value_wins_whatever_the_clocks_say(families, wrong, who):
    """Each in turn edits what it has seen; one of the two lives in 1970 or 2099."""
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    for turn in range(4):
        site = (here, there)[turn % 2]
        exchange(here, there)
        note(site, str(turn), TIMES[wrong] if turn % 2 == who else None)
    exchange(here, there)
    assert word(here) == word(there) == [("3",)]
    assert_in_step(here, there)
    assert not here.conflicts() and not there.conflicts()


def test_clock_that_jumps_to_and_fro_breaks_nothing(families):
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    exchange(here, there)
    for number, at in enumerate((TIMES["2099"], TIMES["1970"], None, TIMES["1970"], TIMES["2099"])):
        note(here, f"here {number}", at)
        note(there, f"there {number}", None)
        exchange(here, there)
        assert word(here) == word(there)
    assert_in_step(here, there)
    shown = word(here)[0][0]
    kept = {value for site in (here, there) for *_, value in site.conflicts()}
    written = {f'"{who} {n}"' for who in ("here", "there") for n in range(5)}
    replaced = {f'"{who} {n}"' for who in ("here", "there") for n in range(4)}
    assert written - {f'"{shown}"'} - replaced <= kept


def test_deletion_under_a_clock_of_1970_is_not_undone(families):
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    capture_at(here, TIMES["2099"])
    exchange(here, there)
    there.family("DELETE FROM word")
    capture_at(there, TIMES["1970"])
    exchange(here, there)
    assert word(here) == word(there) == []
    assert_in_step(here, there)


def test_stamps_of_what_nobody_has_are_put_right(home):
    home.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    capture_at(home, 5 * SECOND)
    home.publish()
    note(home, "1", 6 * SECOND)
    home.family("UPDATE word SET note = '2'")
    capture_at(home, 4 * SECOND)
    assert correct_stamps(home.store, 56 * YEAR) == 3
    stamps = [s for (s,) in home.fetch("SELECT stamp FROM {p}changelog ORDER BY position")]
    assert stamps[:2] == [56 * YEAR + 5 * SECOND, 56 * YEAR + 6 * SECOND]
    assert stamps[2] > stamps[1]
    assert_sound_log(home)
    assert correct_stamps(home.store, 56 * YEAR) == 0


def test_what_was_put_into_an_answer_keeps_its_stamp(families):
    """A peer may have it under this name, even if the answer never arrived."""
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    capture_at(here, SECOND)
    here.publish()
    answer(here.store, next_request(there.store, here.origin))
    note(here, "1", 2 * SECOND)
    assert correct_stamps(here.store, 56 * YEAR) == 1
    stamps = [s for (s,) in here.fetch("SELECT stamp FROM {p}changelog ORDER BY position")]
    assert stamps == [SECOND, 56 * YEAR + 2 * SECOND]
    exchange(here, there)
    assert_in_step(here, there)


def test_corrected_stamp_is_never_below_what_its_author_had_seen(families):
    here, there = families
    there.family("INSERT INTO word (text, note) VALUES ('w', 'theirs')")
    there.publish()
    send(there, here)
    note(here, "ours", TIMES["2099"])
    assert correct_stamps(here.store, -200 * YEAR) == 1
    exchange(here, there)
    assert word(here) == word(there) == [("ours",)]
    assert_in_step(here, there)


def test_row_is_shown_by_its_corrected_stamps(families):
    """A concurrent edit that came meanwhile wins or loses by the stamp that the site should have given."""
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    exchange(here, there)
    note(there, "theirs")
    note(here, "ours", TIMES["2099"])
    send(there, here)
    assert word(here) == [("ours",)]
    correct_stamps(here.store, 2_000_000_000 * SECOND - TIMES["2099"] - 10 * YEAR)
    exchange(here, there)
    assert word(here) == word(there) == [("theirs",)]
    assert_in_step(here, there)


def test_batch_made_while_stamps_are_corrected_carries_the_right_ones(families):
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    capture_at(here, SECOND)
    here.publish()
    life = here.store.read_life()
    assert here.store.ship_numbers(1, 1, life["corrected"])
    note(here, "1", 2 * SECOND)
    correct_stamps(here.store, YEAR)
    assert not here.store.ship_numbers(1, 2, life["corrected"])
    batch = decode_batch(answer(here.store, next_request(there.store, here.origin)).payload)
    assert [e.stamp for e in batch.entries] == [SECOND, YEAR + 2 * SECOND]


def test_skew_is_measured_when_sites_meet_and_shown(families):
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    exchange(here, there)
    (peer,) = read_status(there.store).peers
    assert abs(peer.clock_offset) <= peer.clock_error + SECOND
    ahead = replace(greet(here.store), clock=here.store.read_clock() + 3600 * SECOND)
    told = meet(there.store, ahead, Measured(there.store.read_clock(), 2 * SECOND))
    assert told == [f"the clock of {here.origin} is 3600 s ahead of ours"] or "ahead of ours" in told[0]
    (peer,) = read_status(there.store).peers
    assert abs(peer.clock_offset - 3600 * SECOND) < 60 * SECOND and peer.clock_error == SECOND


@pytest.mark.parametrize(
    ("offsets", "corrected"), [((9, 9, 9), 1), ((9, 9), 0), ((9, 9, 0), 0), ((0, 9, 9, 9), 1)]
)
def test_site_believes_three_peers_that_agree_and_no_fewer(home, offsets, corrected):
    home.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    home.publish()
    before = home.fetch("SELECT stamp FROM {p}changelog")[0][0]
    mine = greet(home.store)
    for number, years in enumerate(offsets):
        now = home.store.read_clock()
        theirs = replace(mine, site=f"{number:032}", clock=now + years * YEAR)
        told = meet(home.store, theirs, Measured(now, 0))
    after = home.fetch("SELECT stamp FROM {p}changelog")[0][0]
    assert bool(after - before > 8 * YEAR) == bool(corrected)
    assert any("set it" in line for line in told) == bool(corrected)


def test_two_sites_that_meet_do_not_swap_their_error(families):
    here, there = families
    here.family("INSERT INTO word (text, note) VALUES ('w', '0')")
    here.publish()
    before = here.fetch("SELECT stamp FROM {p}changelog")
    assert introduce(here.store, there.store) == []
    assert here.fetch("SELECT stamp FROM {p}changelog") == before

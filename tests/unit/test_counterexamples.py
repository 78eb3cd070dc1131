"""The counterexamples of the design's review, by whole sites: each a few steps on sites in memory that went
wrong before a rule was made, and go wrong when it is taken out (scripts/mutate.py does so).

Those that the merge alone answers are in core/test_counterexamples.py. What needs two sessions at once (R1,
R5, R7, and R8 again) is shown on real servers, in tests/database: test_cascade_sessions, test_publish,
test_apply, test_apply_busy, test_apply_meanwhile.
"""

from dataclasses import replace
from itertools import count, pairwise

import pytest

from changecapture.apply import apply_entries, retry
from changecapture.clocks import correct_own_stamps, correct_stamps
from changecapture.compact import compact
from changecapture.core.change import ALIVE, Row
from changecapture.core.clock import LATEST_STAMP
from changecapture.core.scopes import Scopes, Terms
from changecapture.core.wire import LARGEST
from changecapture.epochs import begin_epoch, renew
from changecapture.errors import PeerError, RetryLater
from changecapture.greeting import greet
from changecapture.greeting import meet as meet_greeting
from changecapture.lives import heal, sample_entries
from changecapture.publish import publish
from changecapture.publish.home import LARGEST_ROW
from changecapture.sync import answer, next_request, receive
from tests.property.machine.people import PEOPLE, PROFILE
from tests.support import family
from tests.support.interrupt import InterruptedStore
from tests.support.memory import KeptMemo, MemorySite, pull
from tests.support.sites import assert_sound_log

SECOND = 1_000_000
BEGIN = 1_700_000_000 * SECOND


class Sites:
    """Sites a, b, c whose clocks stand where the test puts them."""

    def __init__(self, script: str, profile: str) -> None:
        self.now = dict.fromkeys("abcd", BEGIN)
        ticks = count()

        def clock(name):
            return lambda: self.now[name] + next(ticks)

        self.all = [MemorySite(family.spell(script, "memory"), profile, clock(name), name) for name in "abcd"]

    def __iter__(self):
        return iter(self.all)


@pytest.fixture
def families():
    return Sites(family.TABLES, "generic")


@pytest.fixture
def people(tmp_path):
    path = tmp_path / "flagged.toml"
    path.write_text(PROFILE)
    return Sites(PEOPLE, str(path))


def send(*route):
    for source, target in pairwise(route):
        pull(source.store, target.store)


def meet(*sites):
    """Exchange until all have everything."""
    for _ in range(2):
        for source in sites:
            for target in sites:
                if source is not target:
                    send(source, target)
    for site in sites:
        retry(site.store)


def person(site, *columns):
    """Return what a site shows of the only person."""
    return site.family.rows(f"SELECT {', '.join(columns)} FROM person")


def batch(source, target, **changes):
    request = replace(next_request(target.store, source.origin), **changes)
    return answer(source.store, request).payload


def test_r2_update_of_a_row_that_was_archived_after_it_came_does_not_revive_it(people):
    a, b, *_ = people
    a.family("INSERT INTO person (uuid, a, deleted) VALUES ('p', 'x', 'F')")
    send(a, b)
    a.family("UPDATE person SET deleted = 'T'")
    send(a, b)
    b.family("UPDATE person SET a = 'y'")
    meet(a, b)
    assert person(a, "deleted") == person(b, "deleted") == [("T",)]
    assert b.entries("person", "p")[-1] == {"a": "y"}


def test_r3_row_that_the_application_brings_back_is_the_same_everywhere(people):
    """Archiving nulled the reference, which is no change of the row; bringing it back sends the whole row."""
    a, b, *_ = people
    a.family("INSERT INTO person (uuid, a, deleted) VALUES ('boss', 'x', 'F')")
    a.family("INSERT INTO person (uuid, a, boss, deleted) VALUES ('p', 'x', 1, 'F')")
    send(a, b)
    a.family("UPDATE person SET deleted = 'T', boss = NULL WHERE uuid = 'p'")
    send(a, b)
    assert "boss" not in a.entries("person", "p")[-1]
    a.family("UPDATE person SET deleted = 'F' WHERE uuid = 'p'")
    send(a, b)
    for site in (a, b):
        assert site.family.rows("SELECT boss FROM person WHERE uuid = 'p'") == [(None,)]


def test_r4_database_takes_no_child_along_that_its_author_had_not_seen(families):
    a, b, c, _ = families
    a.family.add_parent("p")
    meet(a, b, c)
    b.family.add_child("k", "p")
    b.family.add_toy("bear", "k")
    b.publish()
    a.family.delete("parent", "p")
    meet(a, b, c)
    for site in (a, b, c):
        assert site.parked() == {Row("child", "k"): "reference", Row("toy", "bear"): "reference"}
        assert site.family.shown("child") == {}
    a.family.add_parent("p")
    meet(a, b, c)
    for site in (a, b, c):
        assert set(site.family.shown("toy")) == {"bear"}


def test_r4_row_that_is_moved_to_a_deleted_parent_leaves(families):
    a, b, *_ = families
    a.family.add_parent("p")
    a.family.add_parent("q")
    a.family.add_child("k", "p")
    meet(a, b)
    b.family.delete("parent", "q")
    a.family("UPDATE child SET must = (SELECT id FROM parent WHERE uuid = 'q')")
    meet(a, b)
    for site in (a, b):
        assert site.parked() == {Row("child", "k"): "reference"}
        assert site.family.shown("child") == {}


def test_r4_row_that_leaves_with_its_parent_is_not_parked_when_its_deletion_had_been_waiting(families):
    a, b, *_ = families
    for key in "pq":
        a.family.add_parent(key)
    a.family.add_child("k", "p")
    a.family.add_toy("bear", "k")
    meet(a, b)
    b.family.delete("toy", "bear")
    a.store.busy = {Row("toy", "bear")}
    send(b, a)
    assert a.parked() == {Row("toy", "bear"): "busy"}
    a.store.busy = set()
    b.family.delete("parent", "q")
    a.family("UPDATE child SET must = (SELECT id FROM parent WHERE uuid = 'q')")
    meet(a, b)
    for site in (a, b):
        assert site.parked() == {Row("child", "k"): "reference"}


def test_r4_new_child_leaves_with_its_parent_in_one_batch(families):
    a, b, c, _ = families
    a.family.add_parent("p")
    meet(a, b, c)
    b.family.add_child("k", "p", keep="p")
    b.publish()
    a.family.delete("parent", "p")
    send(b, a, c)
    assert c.parked() == {Row("child", "k"): "reference"}
    assert c.family.shown("parent") == {}


def test_r4_what_waited_is_shown_with_the_row_that_it_waited_for(families):
    """In the same transaction: nobody has to try again."""
    a, b, *_ = families
    a.family.add_parent("p")
    a.family.add_child("k", "p")
    a.family.add_toy("bear", "k")
    a.publish()
    entries = [entry for _, entry in a.store.read_entries(0, a.store.last_position(), 10)]
    for entry in reversed(entries):
        apply_entries(b.store, [entry], {}, {})
    assert set(b.family.shown("toy")) == {"bear"}
    assert b.parked() == {}


def test_r4_reference_is_set_when_its_row_comes_back_beside_an_edit_of_the_row_that_waits(families):
    """What is written of a row along the fast path is what came of it, and its reference did not."""
    a, b, c, _ = families
    for key in "pq":
        a.family.add_parent(key)
    send(a, b)
    a.family.add_child("k", "p", may="q")
    send(a, c)
    b.family.delete("parent", "q")
    send(b, a)
    assert a.family.rows("SELECT may FROM child") == [(None,)]
    c.family.note("parent", "q", "is needed")
    c.family.note("child", "k", "edited")
    send(c, a)
    found = "SELECT child.note, parent.uuid FROM child JOIN parent ON parent.id = may"
    assert a.family.rows(found) == [("edited", "q")]
    assert a.fetch("SELECT 1 FROM {p}waiting") == []
    assert_sound_log(a)


def test_r6_row_that_comes_and_goes_in_mid_apply_is_merged(families):
    """Nothing was found; then the application inserts and deletes the key, and the relay inserts it."""
    a, b, *_ = families
    a.family.add_parent("p")
    a.publish()

    def come_and_go():
        with b.store.application():
            b.family.add_parent("p")
        with b.store.application():
            b.family.delete("parent", "p")

    receive(InterruptedStore(b.store, "insert_columns", come_and_go), "a", batch(a, b))
    meet(a, b)
    assert a.family.shown("parent") == b.family.shown("parent")
    assert a.conflicts() == b.conflicts()


@pytest.mark.parametrize("ends", [False, True], ids=["in bulk", "row by row"])
def test_r6_change_of_the_application_in_mid_apply_is_not_overwritten(families, ends):
    """A batch that ends a life goes row by row."""
    a, b, *_ = families
    for key in "pz":
        a.family.add_parent(key)
    meet(a, b)
    a.family.note("parent", "p", "theirs")
    if ends:
        a.family.delete("parent", "z")
    a.publish()

    def write():
        with b.store.application():
            b.family("UPDATE parent SET note = 'ours', name = 'Ana' WHERE uuid = 'p'")

    receive(InterruptedStore(b.store, "hold_rows", write), "a", batch(a, b))
    meet(a, b)
    assert a.family.rows("SELECT name, note FROM parent") == b.family.rows("SELECT name, note FROM parent")
    assert b.conflicts() == a.conflicts() == {("parent", "p", "note", '"ours"', '"theirs"')}


def test_r8_absent_rows_are_inserted_before_others_are_changed(families):
    """Who waits for a key has changed nothing yet: in a deadlock the application is not the lighter one."""
    a, b, *_ = families
    a.family.add_parent("p")
    meet(a, b)
    a.family.note("parent", "p", "changed")
    a.family.add_parent("q")
    a.publish()
    a.family.note("parent", "q", "twice written, so it goes no short way")
    a.publish()
    order = []
    store = InterruptedStore(b.store, "update_rows", lambda: order.append("update"))
    store = InterruptedStore(store, "insert_rows", lambda: order.append("insert"))
    receive(store, "a", batch(a, b))
    assert order == ["insert", "update"]


def test_r8_absent_rows_are_inserted_before_others_are_changed_in_bulk(families):
    a, b, *_ = families
    a.family.add_parent("p")
    meet(a, b)
    a.family.note("parent", "p", "changed")
    a.family.add_child("c", "p")
    a.publish()
    order = []
    store = InterruptedStore(b.store, "update_columns", lambda: order.append("update"))
    store = InterruptedStore(store, "insert_columns", lambda: order.append("insert"))
    receive(store, "a", batch(a, b))
    assert order == ["insert", "update"]


def test_r9_value_that_the_author_had_not_seen_is_recorded(people):
    """Six steps: one base stamp would say that a knew what b wrote."""
    a, b, *_ = people
    b.family("INSERT INTO item (code, a, b) VALUES ('i', 'v1', 'w')")
    send(b, a)
    b.family("UPDATE item SET a = 'v2'")
    b.publish()
    a.family("UPDATE item SET b = 'v3'")
    send(a, b)
    a.family("UPDATE item SET a = 'v4'")
    meet(a, b)
    lost = {("item", "i", "a", '"v4"', '"v2"')}
    assert a.conflicts() == b.conflicts() == lost


def write_item(site, text, code="i"):
    if not site.family("UPDATE item SET a = %s WHERE code = %s", text, code):
        site.family("INSERT INTO item (code, a) VALUES (%s, %s)", code, text)
    site.publish()


def items(site):
    return dict(site.family.rows("SELECT code, a FROM item"))


def put_back(site, backup, memo):
    site.restore(backup)
    site.store.memo = memo


def test_r10_restored_backup_gives_no_name_twice(people):
    """Its memo is not in the database: a new epoch begins before anything is published."""
    a, b, *_ = people
    a.store.memo = KeptMemo()
    write_item(a, "before")
    backup = a.store.dump()
    write_item(a, "lost at home")
    send(a, b)
    put_back(a, backup, a.store.memo.reread())
    write_item(a, "after")
    assert a.store.read_site().epoch > 1
    meet(a, b)
    assert items(a) == items(b) == {"i": "after"}
    assert ("item", "i", "a", '"after"', '"lost at home"') in b.conflicts()


def test_r10_second_life_that_nobody_remembers_is_told_by_the_first_peer(people):
    """Five steps; the numbers overtook what had been shipped, so that counting shows nothing: digests do."""
    a, b, *_ = people
    write_item(a, "before")
    backup = a.store.dump()
    write_item(a, "lost at home")
    send(a, b)
    put_back(a, backup, None)
    for text in ("one", "two", "three"):
        write_item(a, text)
    meet(a, b)
    assert items(a) == items(b) == {"i": "three"}
    assert ("item", "i", "a", '"three"', '"lost at home"') in b.conflicts()
    assert len({epoch for _, epoch, _ in b.store.read_vector()}) > 1


def test_r10_name_that_others_had_in_both_senses_is_given_to_neither(people):
    a, b, c, _ = people
    write_item(a, "before")
    meet(a, b, c)
    backup = a.store.dump()
    write_item(a, "first sense", "j")
    send(a, b)
    put_back(a, backup, None)
    write_item(a, "second sense", "k")
    send(a, c)
    meet(a, b, c)
    both = {"i": "before", "j": "first sense", "k": "second sense"}
    assert items(a) == items(b) == items(c) == both


def test_r10_what_a_third_gave_back_of_a_former_life_is_no_agreement_on_what_came_before(people):
    """c has the second sense of a name and, from b, all that the first life wrote after it; a gets that back
    from c, and must still see that b means another thing by that name."""
    a, b, c, _ = people
    write_item(a, "before")
    backup = a.store.dump()
    for code in "jkl":
        write_item(a, "first life", code)
    send(a, b)
    put_back(a, backup, None)
    write_item(a, "second life", "m")
    pull(a.store, c.store)
    pull(b.store, c.store)
    samples = sample_entries(b.store, "a", 1, 4, deep=True)
    heal(a.store, {1: samples})
    pull(c.store, a.store)
    heal(a.store, {1: samples})
    meet(a, b, c)
    assert items(a) == items(b) == items(c)
    assert set(items(a)) == set("ijklm")


def test_r10_pass_that_was_published_again_with_one_change_in_its_midst_is_told_by_the_first_peer(people):
    """What waited in a backup is published once more, and one of it was written again meanwhile: the last
    entries of the pass mean the same in both lives."""
    a, b, *_ = people
    for code in "ijklm":
        a.family("INSERT INTO item (code, a) VALUES (%s, 'waits')", code)
    backup = a.store.dump()
    publish(a.store)
    send(a, b)
    put_back(a, backup, None)
    write_item(a, "second life", "j")
    send(a, b)
    meet(a, b)
    assert items(a) == items(b) == {**dict.fromkeys("iklm", "waits"), "j": "second life"}


def test_r10_copy_that_healed_and_was_renewed_still_gets_what_its_contested_names_mean_elsewhere(people):
    """What waits is published in both lives, and the original had changed one row before; the copy is made a
    site of its own before it has pulled what the names mean to others. Those lie too far back to be sampled
    when it meets the original, which would else publish them anew."""
    a, b, c, _ = people
    for code in "ij":
        a.family("INSERT INTO item (code, a) VALUES (%s, 'waits')", code)
    put_back(c, a.store.dump(), None)
    write_item(a, "changed at home", "j")
    a.family("DELETE FROM item WHERE code = 'i'")
    write_item(a, "home", "h")
    for number in range(300):
        a.family("INSERT INTO item (code, a) VALUES (%s, 'later')", str(number))
    send(a, b)
    write_item(c, "copy", "k")
    meet_greeting(c.store, greet(b.store, "a"))
    renew(c.store, "c")
    meet(a, b, c)
    assert items(a) == items(b) == items(c)
    assert {"j": "changed at home", "h": "home", "k": "copy"}.items() <= items(c).items()


def copy_twice(original, first, second):
    """Make two sites of copies that gave the same name of the original; the second heals by the first."""
    for copied, code in ((first, "first"), (second, "second")):
        put_back(copied, original.store.dump(), None)
        write_item(copied, "copy", code)
    renew(first.store, "b")
    meet_greeting(second.store, greet(first.store, "a"))
    renew(second.store, "c")


def test_r10_copy_that_healed_tells_its_original_nothing_of_the_names_that_it_gave_up(people):
    """Two copies of a were made sites of their own after each had given a name of a; the second learned from
    the first what that meant there. The original, which has given none, hears of it from the second alone."""
    a, b, c, _ = people
    copy_twice(a, b, c)
    send(c, a)
    assert items(a) == {"second": "copy"}
    assert a.store.read_site().epoch == 1
    write_item(a, "original", "third")
    meet(a, b, c)
    assert items(a) == items(b) == items(c) == dict(first="copy", second="copy", third="original")


def test_r10_copy_that_healed_claims_no_name_that_its_original_has_not_given(people):
    """What waited in a was published by c too, under the same name, and more after it. c gave both up when b
    had another thing by that name, and hears of the first from a again."""
    a, b, c, _ = people
    put_back(b, a.store.dump(), None)
    write_item(b, "copy", "first")
    renew(b.store, "b")
    a.family("INSERT INTO item (code, a) VALUES ('waits', 'original')")
    put_back(c, a.store.dump(), None)
    write_item(c, "copy", "second")
    meet_greeting(c.store, greet(b.store, "a"))
    renew(c.store, "c")
    a.publish()
    send(a, c, a)
    meet(a, b, c)
    assert items(a) == items(b) == items(c) == dict(first="copy", waits="original", second="copy")


def test_r10_contested_name_that_a_copy_claims_is_told_all_the_same(people):
    """c gave its own up, and has the other sense from b; a, which has given none, would refuse the claim."""
    a, b, c, _ = people
    copy_twice(a, b, c)
    send(b, c, a)
    meet(a, b, c)
    assert items(a) == items(b) == items(c) == dict(first="copy", second="copy")


def test_r10_epoch_that_a_copy_uses_first_is_left_to_it(people):
    """a learned from a copy that it needs another epoch, and had nothing to publish in it; then it was copied
    once more, and that copy published."""
    a, b, c, _ = people
    put_back(b, a.store.dump(), None)
    write_item(b, "copy", "first")
    renew(b.store, "b")
    send(a, b)
    put_back(c, a.store.dump(), None)
    write_item(c, "copy", "second")
    renew(c.store, "c")
    send(c, a)
    assert items(a) == {"second": "copy"}
    write_item(a, "original", "third")
    meet(a, b, c)
    assert items(a) == items(b) == items(c) == dict(first="copy", second="copy", third="original")


def test_r10_forged_epoch_drives_no_site_to_one_that_others_do_not_read(people):
    a, b, c, _ = people
    put_back(b, a.store.dump(), None)
    b.store.begin_epoch("a", LARGEST)
    write_item(b, "forged", "f")
    send(b, c, a)
    begin_epoch(a.store)
    write_item(a, "own", "o")
    send(a, c)
    assert items(a) == items(c) == {"f": "forged", "o": "own"}


def test_r10_names_of_a_former_life_that_a_cut_pull_brought_are_told_in_a_greeting(people):
    """They are not in the vector of b, and a would refuse the pull that brings them for ever."""
    a, b, *_ = people
    write_item(a, "before")
    backup = a.store.dump()
    write_item(a, "lost at home", "j")
    write_item(a, "lost everywhere", "k")
    for _ in range(2):
        receive(b.store, "a", batch(a, b, limit=1))
    assert b.store.read_vector() == {}
    put_back(a, backup, None)
    write_item(b, "from b", "l")
    send(b, a)
    assert items(a) == {"i": "before", "j": "lost at home", "l": "from b"}
    write_item(a, "second life", "m")
    meet(a, b)
    assert items(a) == items(b) == {"i": "before", "j": "lost at home", "l": "from b", "m": "second life"}


def test_r10_names_that_nobody_has_any_more_are_claimed_no_more(people):
    """b had the first change in another sense, and is lost: a says nothing of that epoch, like everyone."""
    a, b, c, _ = people
    backup = a.store.dump()
    write_item(a, "first life")
    send(a, b)
    put_back(a, backup, None)
    write_item(a, "second life", "j")
    meet_greeting(a.store, greet(b.store, "a"))
    b.clean()
    meet(a, b, c)
    assert items(a) == items(b) == items(c) == {"j": "second life"}
    assert a.store.read_vector() == b.store.read_vector() == c.store.read_vector()


def test_r10_log_that_was_put_back_and_filled_again_is_not_taken_for_the_one_it_was(people):
    """b had pulled from a up to position 4. a is put back to position 1, writes, and gets the rest from c
    again: the entry at position 4 is the same as before, what stands before it is not."""
    a, b, c, _ = people
    write_item(c, "0")
    send(c, a)
    backup = a.store.dump()
    for number in "123":
        write_item(c, number, f"c{number}")
    send(c, a, b)
    send(a, b)
    put_back(a, backup, None)
    receive(a.store, "c", batch(c, a, limit=1))
    write_item(a, "after", "x")
    send(c, a)
    assert [code for (code,) in a.fetch("SELECT row_key FROM {p}changelog ORDER BY position")] == [
        *("i", "c1", "x", "c2", "c3")
    ]
    send(a, b)
    assert items(b) == items(a)


def squeeze(site):
    return sum(step.removed for step in compact(site.store, 0, anew=True))


def test_r11_hole_of_a_compacted_log_is_not_claimed_by_a_pull_that_was_cut(people):
    """Eight steps: c has given the first change up; d takes another from it, and the line is cut."""
    a, b, c, d = people
    write_item(a, "first")
    write_item(a, "x", "j")
    meet(a, b)
    write_item(b, "second")
    send(b, c)
    assert squeeze(c) == 0  # its insert wrote column b too
    b.family("UPDATE item SET b = 'second' WHERE code = 'i'")
    send(b, c)
    assert squeeze(c) == 1
    receive(d.store, "c", batch(c, d, limit=1))
    assert d.store.read_vector() == {}
    send(a, d)
    send(b, d)
    assert items(d) == items(b) == {"i": "second", "j": "x"}


def test_r16_entry_goes_when_each_of_its_columns_has_a_later_one(people):
    a, _, _, d = people
    write_item(a, "first")
    write_item(a, "second")
    assert squeeze(a) == 0, "the first wrote b as well"
    a.family("UPDATE item SET b = 'third'")
    a.publish()
    assert squeeze(a) == 1, "existence has a later word too"
    send(a, d)
    assert d.family.rows("SELECT a, b FROM item") == [("second", "third")]


def test_r16_row_that_was_deleted_keeps_the_word_that_deleted_it(people):
    """Else an older change that comes late would bring it back."""
    a, b, c, _ = people
    write_item(a, "first")
    meet(a, b, c)
    write_item(c, "late")
    people.now["a"] += 60 * SECOND
    a.family("DELETE FROM item")
    a.publish()
    write_item(a, "the last word of a", "j")
    send(a, b)
    squeeze(a)
    squeeze(b)
    send(c, b, a)
    assert items(a) == items(b) == {"j": "the last word of a"}
    assert Row("item", "i") in a.store.read_versions([Row("item", "i")])


def test_r16_what_is_parked_stays_whatever_overtook_it(families):
    a, b, c, _ = families
    a.family.add_parent("p")
    a.family.add_child("k", "p")
    a.publish()
    a.family.note("child", "k", "y")
    meet(a, b)
    a.family.delete("parent", "p")
    a.publish()
    b.family.note("child", "k", "later")
    send(a, b)
    send(b, c)
    for site in (b, c):
        assert Row("child", "k") in site.parked()
        before = site.entries("child", "k")
        squeeze(site)
        assert site.entries("child", "k") == before


def test_r11_vector_is_not_raised_by_a_pull_that_was_cut(families):
    a, b, *_ = families
    a.family.add_parent("p")
    a.publish()
    a.family.add_parent("q")
    a.publish()
    receive(b.store, "a", batch(a, b, limit=1))
    assert b.store.read_vector() == {}
    assert set(b.family.shown("parent")) == {"p"}
    send(a, b)
    assert b.store.read_vector() == {("a", 1, "all"): 2}


def test_r11_target_is_that_of_the_beginning_of_a_pull(families):
    """What the sender received meanwhile from others may stand before the place where the pull is."""
    a, b, c, _ = families
    for key in "pq":
        a.family.add_parent(key)
        a.publish()
    receive(b.store, "a", batch(a, b, limit=1))
    c.family.add_parent("r")
    send(c, a)
    receive(b.store, "a", batch(a, b))
    assert b.store.read_vector() == {("a", 1, "all"): 2}


def test_r11_range_that_begins_above_what_is_here_is_refused(families):
    a, b, c, _ = families
    a.family.add_parent("p")
    send(a, b)
    a.family.add_parent("q")
    a.publish()
    payload = batch(a, b, after=0, end=0)
    with pytest.raises(PeerError, match="begins above"):
        receive(c.store, "a", payload)
    assert c.store.last_position() == 0


def test_r11_batch_that_does_not_follow_the_last_is_refused(families):
    a, b, *_ = families
    for key in "pqr":
        a.family.add_parent(key)
        a.publish()
    first = batch(a, b, limit=1)
    receive(b.store, "a", first)
    later = batch(a, b, limit=1)
    receive(b.store, "a", later)
    with pytest.raises(PeerError):
        receive(b.store, "a", later)


@pytest.fixture
def modules(tmp_path):
    """People and items are modules of their own."""
    path = tmp_path / "modules.toml"
    rule = '[[table]]\ntables = ["{0}"]\nsync = true\nmodule = "{0}"\nwhy = "to be held back"\n'
    path.write_text(PROFILE + rule.format("person") + rule.format("item"))
    return Sites(PEOPLE, str(path))


def pull_modules(source, target, send, *, limit=1):
    """Pull what a site sends, an entry at a time, until its end; return how many entries came."""
    ours, theirs = Terms(send=send), Terms(offered=send)
    came, last = 0, False
    while not last:
        request = replace(next_request(target.store, source.origin, theirs), limit=limit)
        done = receive(target.store, source.origin, answer(source.store, request, ours).payload, theirs)
        came, last = came + done.carried, done.last
    return came


def test_r12_what_is_held_back_is_not_claimed_and_is_sent_when_it_may_be_had(modules):
    """Neither a position that was passed by nor a number of another module is a word on it."""
    a, b, c, _ = modules
    write_item(a, "shown")
    a.family("INSERT INTO person (uuid, a, deleted) VALUES ('p1', 'Ana', 'F')")
    a.publish()
    write_item(a, "shown again", "i2")
    assert pull_modules(a, b, Scopes(frozenset({"person"}))) == 2
    assert items(b) == items(a) and person(b, "a") == []
    assert b.store.read_vector() == {("a", 1, "item"): 3}
    assert pull_modules(b, c, Scopes()) == 2
    assert c.store.read_vector() == {("a", 1, "item"): 3}
    assert pull_modules(a, b, Scopes()) == pull_modules(a, c, Scopes()) == 1
    assert person(b, "a") == person(c, "a") == [("Ana",)]
    assert c.store.read_vector() == b.store.read_vector() == a.store.read_vector()


def test_r14_names_that_were_swapped_are_swapped_everywhere(families):
    a, b, *_ = families
    a.family.add_parent("p", "Ana")
    a.family.add_parent("q", "Ben")
    meet(a, b)
    a.family("UPDATE parent SET name = NULL WHERE uuid = 'p'")
    a.family("UPDATE parent SET name = 'Ana' WHERE uuid = 'q'")
    a.family("UPDATE parent SET name = 'Ben' WHERE uuid = 'p'")
    meet(a, b)
    assert b.parked() == {}
    assert set(b.family.rows("SELECT uuid, name FROM parent")) == {("p", "Ben"), ("q", "Ana")}


def test_r14_row_in_the_way_is_never_touched(families):
    a, b, *_ = families
    a.family.add_parent("p", "Ana")
    b.family.add_parent("q", "Ana")
    meet(a, b)
    assert (a.parked(), b.parked()) == ({Row("parent", "q"): "unique"}, {Row("parent", "p"): "unique"})
    a.family("UPDATE parent SET name = 'Anna'")
    meet(a, b)
    assert a.parked() == b.parked() == {}


def test_r15_change_from_the_future_is_shown_and_can_be_edited(families):
    """Parked until its time it would be shown at home alone."""
    a, b, c, _ = families
    families.now["a"] = LATEST_STAMP - SECOND
    a.family.add_parent("p")
    send(a, b, c)
    c.family.note("parent", "p", "seen and edited")
    meet(a, b, c)
    for site in (a, b, c):
        assert site.family.shown("parent") == {"p": "seen and edited"}
        assert site.conflicts() == set()


def test_r15_row_is_shown_by_the_stamps_that_were_corrected(people):
    """b has been a year ahead; what it wrote and nobody has is stamped anew, and so loses to a's edit."""
    a, b, *_ = people
    write_item(a, "first")
    meet(a, b)
    year = 365 * 86_400 * SECOND
    people.now["a"] += 60 * SECOND
    people.now["b"] += year
    write_item(b, "of the wrong clock")
    write_item(a, "later")
    send(a, b)
    assert items(b) == {"i": "of the wrong clock"}
    assert correct_stamps(b.store, -year) == 1
    assert items(b) == {"i": "later"}, "what is parked for the clock is shown at once"
    assert b.parked() == {}
    meet(a, b)
    assert items(a) == {"i": "later"}


def test_r15_stamps_that_have_left_the_site_stay(people):
    a, b, *_ = people
    write_item(a, "shipped")
    batch(a, b)
    before = a.fetch("SELECT stamp FROM {p}changelog")
    assert correct_stamps(a.store, 1000 * SECOND) == 0
    assert a.fetch("SELECT stamp FROM {p}changelog") == before


def test_r15_backup_that_holds_the_last_name_but_not_that_it_was_shipped_is_not_stamped_anew(people):
    """Its memo finds nothing amiss: what was there when the program began stays, what came later does not."""
    a, b, *_ = people
    a.store.memo = KeptMemo()
    write_item(a, "shipped")
    a.publish()
    backup = a.store.dump()
    send(a, b)
    put_back(a, backup, a.store.memo.reread())
    assert correct_own_stamps(a.store, -1000 * SECOND) == 0
    write_item(a, "of this start")
    assert correct_own_stamps(a.store, -1000 * SECOND) == 1
    meet(a, b)
    stamps = "SELECT origin, epoch, number, stamp FROM {p}changelog ORDER BY 1, 2, 3"
    assert a.fetch(stamps) == b.fetch(stamps)


def test_r17_update_and_delete_of_one_pass_keep_what_was_updated(people):
    a, b, *_ = people
    a.family("INSERT INTO item (code, a, b) VALUES ('i', 'v1', 'w')")
    meet(a, b)
    people.now["b"] += 60 * SECOND
    a.family("UPDATE item SET a = 'v2'")
    a.family("UPDATE item SET b = 'w2'")
    a.family("DELETE FROM item")
    a.publish()
    b.family("UPDATE item SET b = 'later'")
    meet(a, b)
    for site in (a, b):
        assert site.family.rows("SELECT a, b FROM item") == [("v2", "later")]


def test_r17_value_is_never_taken_from_a_delete_s_image(people):
    a, *_ = people
    a.family("INSERT INTO item (code, a, b) VALUES ('i', 'v1', 'w')")
    a.publish()
    a.family("DELETE FROM item")
    a.publish()
    assert a.entries("item", "i")[-1] == {ALIVE: False}


def test_r18_pass_that_someone_else_has_published_is_rolled_back(families):
    a, *_ = families
    a.family.add_parent("p")
    store = InterruptedStore(
        a.store, "delete_captured", lambda: a.store.execute("DELETE FROM changecapture_captured")
    )
    with pytest.raises(RetryLater):
        publish(store)
    assert a.store.last_position() == 0
    assert a.publish() == 1


def test_r19_pass_takes_whole_transactions_by_their_last_change(families):
    """One began first and ended last: its two changes come together, after the other's."""
    a, *_ = families
    for key in "pqr":
        a.family.add_parent(key)
    a.store.execute("UPDATE changecapture_captured SET transaction_id = 1000 WHERE id IN (1, 3)")
    publish(a.store, 2)
    assert [key for (key,) in a.fetch("SELECT row_key FROM {p}changelog ORDER BY position")] == ["q"]
    publish(a.store, 2)
    passes = a.fetch("SELECT row_key, pass FROM {p}changelog ORDER BY position")
    assert passes == [("q", 1), ("p", 2), ("r", 2)]


@pytest.mark.parametrize("known", [False, True], ids=["in bulk", "row by row"])
def test_r19_parents_come_before_children_whatever_came_first(families, known):
    a, *_ = families
    for key in "pz":
        a.family.add_parent(key)
    a.family.add_child("k", "p")
    if known:
        a.publish()
        a.family.delete("parent", "z")  # a pass that ends a life goes row by row
        a.family("UPDATE parent SET note = 'n'")
        a.family("UPDATE child SET note = 'n'")
    a.store.execute("UPDATE changecapture_captured SET id = -id")
    a.publish()
    entries = a.fetch("SELECT table_name, row_key FROM {p}changelog ORDER BY position DESC")
    named = [name for name in entries if name[1] != "z"]
    assert named[:2] == [("child", "k"), ("parent", "p")]


def test_r20_changed_key_keeps_the_children(families):
    a, b, *_ = families
    a.family.add_parent("p")
    a.family.add_child("k", "p", keep="p")
    a.family.add_link("p", "k", "n")
    meet(a, b)
    a.family("UPDATE parent SET uuid = 'q'")
    meet(a, b)
    for site in (a, b):
        assert site.parked() == {}
        assert site.family.rows("SELECT p.uuid FROM child JOIN parent p ON p.id = must") == [("q",)]
        assert site.family.rows("SELECT note FROM link") == [("n",)]


def test_r20_changed_key_writes_no_column_of_the_rows_that_name_it(families):
    """What another has written of them meanwhile stays, and there is no conflict."""
    a, b, *_ = families
    a.family.add_parent("p")
    for key in "kl":
        a.family.add_child(key, "p", keep="p")
    meet(a, b)
    b.family.note("child", "k", "theirs")
    b.family.delete("child", "l")
    a.family("UPDATE parent SET uuid = 'q'")
    meet(a, b)
    for site in (a, b):
        assert site.family.shown("child") == {"k": "theirs"}
        assert site.family.rows("SELECT p.uuid FROM child JOIN parent p ON p.id = keep") == [("q",)]
        assert site.conflicts() == set() and site.parked() == {}


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("first", ["rename", "delete"])
def test_r20_row_named_by_a_changed_key_that_is_deleted_as_well_is_gone_everywhere(families, first, together):
    """By the name that others know, which nothing here has any more when it is published."""
    a, b, *_ = families
    for key in "pq":
        a.family.add_parent(key)
    a.family.add_child("k", "p")
    a.family.add_link("q", "k", "n")
    meet(a, b)
    rename, delete = "UPDATE parent SET uuid = 'r' WHERE uuid = 'q'", "DELETE FROM link"
    for statement in (rename, delete) if first == "rename" else (delete, rename):
        a.family(statement)
    while publish(a.store, 2000 if together else 1):
        pass
    meet(a, b)
    for site in (a, b):
        assert site.family.rows("SELECT * FROM link") == []
        assert site.parked() == {}


def test_r20_row_whose_name_another_or_itself_had_before_in_the_pass_lives_on(families):
    """Two parents swap their keys, a third gets its own back: what they name is left behind by no name that
    a row has now."""
    a, b, *_ = families
    for key in "pqr":
        a.family.add_parent(key)
    a.family.add_child("k", "p")
    for key in "pqr":
        a.family.add_link(key, "k", f"of {key}")
    meet(a, b)
    renames = (("p", "between"), ("q", "p"), ("between", "q"), ("r", "between"), ("between", "r"))
    for old, new in renames:
        a.family("UPDATE parent SET uuid = %s WHERE uuid = %s", new, old)
    meet(a, b)
    linked = "SELECT p.uuid, l.note FROM link l JOIN parent p ON p.id = l.parent_id ORDER BY 1"
    for site in (a, b):
        assert site.family.rows(linked) == [("p", "of q"), ("q", "of p"), ("r", "of r")]
        assert site.parked() == {}
        assert site.fetch("SELECT count(*) FROM {p}row_version WHERE table_name = 'link' AND alive = 1") == [
            (3,)
        ]


def test_r20_key_that_changed_before_it_was_published_is_read_late(families):
    a, b, *_ = families
    a.family.add_parent("p", "Ana")
    a.family("UPDATE parent SET uuid = 'q'")
    meet(a, b)
    assert b.family.rows("SELECT uuid, name FROM parent") == [("q", "Ana")]


def test_r21_transaction_is_not_split_by_an_apply(families):
    """A row that apply publishes brings all that its transaction wrote."""
    a, b, *_ = families
    for key in "pq":
        a.family.add_parent(key)
    meet(a, b)
    a.family.note("parent", "p", "theirs")
    a.publish()

    def write():
        with b.store.application():
            b.family("UPDATE parent SET note = 'both'")

    receive(InterruptedStore(b.store, "hold_rows", write), "a", batch(a, b))
    assert b.store.count_captured() == 0
    passes = b.fetch("SELECT row_key, pass FROM {p}changelog WHERE origin = 'b' ORDER BY row_key")
    assert passes == [("p", 1), ("q", 1)]


@pytest.mark.parametrize(
    "large", ["x" * (LARGEST_ROW + 1), "\x01" * (LARGEST_ROW // 6), "\u0d9a" * (LARGEST_ROW // 3)], ids=len
)
def test_row_that_has_become_too_large_to_travel_stays_as_its_application_wrote_it(families, large):
    """What it shows is in no log: to show it from its entries would undo what was written. It is large by the
    bytes that it comes to on the wire."""
    a, b, *_ = families
    a.family.add_parent("p", "Ana")
    a.family.add_child("k", "p")
    meet(a, b)
    a.family.note("child", "k", large)
    a.family("UPDATE parent SET note = 'goes'")
    b.family.note("child", "k", "theirs")
    meet(a, b)
    assert a.family.shown("child") == {"k": large} and a.parked() == {Row("child", "k"): "large"}
    assert b.family.shown("child") == {"k": "theirs"} and b.family.shown("parent") == {"p": "goes"}
    a.family.note("child", "k", "small again")
    meet(a, b)
    assert a.family.shown("child") == b.family.shown("child") == {"k": "small again"}
    assert a.parked() == b.parked() == {}
    assert a.conflicts() == b.conflicts() == {("child", "k", "note", '"small again"', '"theirs"')}


def test_row_that_is_too_large_to_travel_keeps_its_parent_until_it_goes_itself(families):
    a, b, *_ = families
    a.family.add_parent("p")
    a.family.add_child("k", "p")
    meet(a, b)
    a.family.note("child", "k", "x" * (LARGEST_ROW + 1))
    b.family.delete("parent", "p")
    meet(a, b)
    assert set(a.family.shown("child")) == {"k"} and set(a.family.shown("parent")) == {"p"}
    a.family.delete("child", "k")
    meet(a, b)
    assert a.family.shown("parent") == b.family.shown("parent") == {}
    assert a.parked() == b.parked() == {}


def test_new_row_that_is_too_large_to_travel_does_so_once_it_is_smaller(families):
    a, b, *_ = families
    a.family.add_parent("p")
    a.family.note("parent", "p", "x" * (LARGEST_ROW + 1))
    meet(a, b)
    assert a.parked() == {Row("parent", "p"): "large"} and b.family.shown("parent") == {}
    a.family.note("parent", "p", "small")
    meet(a, b)
    assert a.family.shown("parent") == b.family.shown("parent") == {"p": "small"}
    assert a.parked() == {}


def test_r20_row_that_publish_writes_in_mid_apply_for_its_parent_s_new_key_is_merged_again(families):
    """R20: nothing of the row was captured, and yet there is an entry of it that the author of the batch had
    not seen; taken for what it was before, the row would differ for ever."""
    a, b, *_ = families
    for key in ("p7", "p8", "z"):
        b.family.add_parent(key)
    b.family.add_child("c", "p7")
    meet(a, b)
    b.family.delete("parent", "z")  # a batch that ends a life goes row by row
    b.family.note("parent", "p7", "from b")
    b.family("UPDATE child SET must = (SELECT id FROM parent WHERE uuid = 'p8')")
    b.publish()

    def rename():
        with a.store.application():
            a.family("UPDATE parent SET uuid = 'p9' WHERE uuid = 'p7'")

    receive(InterruptedStore(a.store, "hold_rows", rename), "b", batch(b, a))
    assert_sound_log(a)
    meet(a, b)
    assert a.conflicts() == b.conflicts()
    refers = "SELECT p.uuid FROM child JOIN parent p ON p.id = must"
    assert a.family.rows(refers) == b.family.rows(refers)


def test_change_of_the_applier_makes_no_echo(families):
    a, b, *_ = families
    a.family.add_parent("p")
    meet(a, b)
    assert b.fetch("SELECT origin FROM {p}changelog") == [("a",)]
    assert not b.store.has_captured()


def give_up_first_name(a, b, c):
    """c, a copy of a that was made a site of its own, means another thing by the names that a gave and b has;
    what a meant by the first is overtaken, and not held any more."""
    put_back(c, a.store.dump(), None)
    for site, codes in ((a, "ij"), (c, "kl")):
        for code in codes:
            write_item(site, "first", code)
    renew(c.store, "c")
    send(a, b)
    b.family("UPDATE item SET a = 'second', b = 'second' WHERE code = 'i'")
    send(b, a)


def test_r10_name_that_compaction_gave_up_is_not_free_for_what_it_means_elsewhere(people):
    """b claims it, and so is sent it under another name or not at all."""
    a, b, c, _ = people
    give_up_first_name(a, b, c)
    for site in (a, b):
        assert sum(step.removed for step in compact(site.store, 0, anew=True)) == 1
    send(c, a)
    meet(a, b, c)
    assert items(a) == items(b) == items(c) == {"i": "second", **dict.fromkeys("jkl", "first")}


def test_r10_name_that_compaction_gave_up_once_it_was_contested_is_not_free_either(people):
    """The last name is the only one of that epoch which stays in the log."""
    a, b, c, _ = people
    give_up_first_name(a, b, c)
    meet_greeting(a.store, greet(c.store, "a"))
    assert sum(step.removed for step in compact(a.store, 0, anew=True)) == 2
    send(c, a)
    meet(a, b, c)
    assert items(a) == items(b) == items(c) == {"i": "second", **dict.fromkeys("jkl", "first")}

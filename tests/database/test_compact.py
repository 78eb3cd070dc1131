"""Compaction: what is overtaken goes, on real logs, and nobody misses it (R11, R16)."""

from dataclasses import replace

import pytest

from changecapture.compact import DAY, compact
from changecapture.core.change import Row
from changecapture.sync import answer, next_request, receive
from tests.support.interrupt import InterruptedStore
from tests.support.sites import assert_in_step, assert_sound_log, exchange, send


def squeeze(site, keep=0, *, anew=True):
    """Compact everything; return how many entries went."""
    return sum(step.removed for step in compact(site.store, keep, anew=anew))


def edit(site, uuid, *notes, table="parent"):
    for note in notes:
        site.family.note(table, uuid, note)
        site.publish()


def count(site, table="changelog"):
    return site.fetch(f"SELECT count(*) FROM {{p}}{table}")[0][0]


def take_batch(source, target, limit):
    request = replace(next_request(target.store, source.origin), limit=limit)
    return receive(target.store, source.origin, answer(source.store, request).payload)


def test_log_is_bounded_by_rows_and_columns_and_the_rows_are_as_before(families):
    here, there = families
    for uuid in ("p1", "p2"):
        here.family.add_parent(uuid)
        here.publish()
        edit(here, uuid, *(f"note {n}" for n in range(20)))
    exchange(here, there)
    assert squeeze(here) == 38
    assert count(here) == 4
    assert_in_step(here, there, whole=False)
    edit(there, "p1", "from there")
    exchange(here, there)
    assert_in_step(here, there, whole=False)


def test_new_peer_is_loaded_from_a_compacted_log(families):
    here, there = families
    here.family.add_parent("p", "name")
    here.family.add_child("c", "p", "p")
    here.publish()
    edit(here, "p", "one", "two")
    edit(here, "c", "one", "two", table="child")
    here.family.add_parent("gone")
    here.publish()
    here.family.delete("parent", "gone")
    here.publish()
    squeeze(here)
    exchange(here, there)
    assert_in_step(here, there, whole=False)
    assert there.family.shown("child") == {"c": "two"}
    edit(there, "c", "three", table="child")
    edit(here, "p", "three")
    exchange(here, there)
    assert_in_step(here, there, whole=False)


def test_old_edit_does_not_bring_back_a_row_whose_entries_were_compacted(families):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    there.family.note("parent", "p", "before the delete")
    there.publish()
    here.family.note("parent", "p", "overtaken")
    here.publish()
    here.family.delete("parent", "p")
    here.publish()
    squeeze(here)
    exchange(here, there)
    assert_in_step(here, there, whole=False)
    assert here.family.shown("parent") == {}
    version = here.store.read_versions([Row("parent", "p")])[Row("parent", "p")]
    assert not version.alive


def test_value_that_lost_to_a_concurrent_one_is_kept_after_compaction(families):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    edit(there, "p", "theirs")
    edit(here, "p", "ours 1", "ours 2")
    squeeze(here)
    exchange(here, there)
    assert_in_step(here, there, whole=False)
    assert {(kept, lost) for *_, kept, lost in here.conflicts()} == {('"ours 2"', '"theirs"')}


def test_hole_of_compaction_and_a_cut_pull_hide_nothing(new_site):
    """R11: T pulls A; B updates k; C pulls B and compacts k's insert away; D pulls m alone from C, the line
    is cut, and C and B are lost. D and T agree on k all the same."""
    kinds = ("postgresql", "mariadb", "postgresql", "mariadb", "postgresql")
    a, b, c, d, t = (new_site(kind, "family") for kind in kinds)
    for text in ("k", "m"):
        a.family("INSERT INTO word (text, note) VALUES (%s, 'first')", text)
        a.publish()
    send(a, t)
    send(a, b)
    b.family("UPDATE word SET note = 'second' WHERE text = 'k'")
    b.publish()
    send(b, c)
    assert squeeze(c) == 1
    assert not take_batch(c, d, 1).last
    send(d, t)
    send(t, d)
    assert d.family.rows("SELECT * FROM word ORDER BY text") == t.family.rows(
        "SELECT * FROM word ORDER BY text"
    )
    assert len(d.family.rows("SELECT * FROM word")) == 2


def test_pull_under_way_gets_a_new_end_when_what_it_was_to_bring_is_given_up(families):
    """Its end was named before the entry came that the others were given up for."""
    here, there = families
    for text in ("a", "b"):
        here.family("INSERT INTO word (text, note) VALUES (%s, '0')", text)
        here.publish()
    here.family("UPDATE word SET note = '1' WHERE text = 'b'")
    here.publish()
    assert not take_batch(here, there, 1).last
    held = here.store.last_position()
    here.family("UPDATE word SET note = '2' WHERE text = 'b'")
    here.publish()
    assert squeeze(here) == 2
    while not take_batch(here, there, 1).last:
        assert there.store.read_vector() == {}, "nothing is claimed before the end"
    assert there.store.read_progress(here.origin).position > held
    assert dict(there.family.rows("SELECT text, note FROM word")) == {"a": "0", "b": "2"}
    assert there.store.read_vector() == here.store.read_vector()


def test_entries_of_a_parked_row_stay_until_it_is_shown(families):
    here, there = families
    here.family.add_parent("here", "taken")
    there.family.add_parent("there", "taken")
    there.publish()
    edit(there, "there", "one", "two", "three")
    exchange(here, there)
    parked = Row("parent", "there")
    assert parked in here.parked()
    before = len(here.entries(*parked))
    squeeze(here)
    assert len(here.entries(*parked)) == before == 4
    there.family("UPDATE parent SET name = 'other' WHERE uuid = 'there'")
    exchange(here, there)
    assert parked not in here.parked()
    squeeze(here)
    assert len(here.entries(*parked)) < before
    assert_in_step(here, there, whole=False)


def test_carried_entries_stay(new_site, new_tables):
    here = new_site("postgresql", "family")
    there = new_tables(
        "mariadb", "CREATE TABLE other (code varchar(20) PRIMARY KEY, a integer) ENGINE=InnoDB"
    )
    here.family("INSERT INTO word (text) VALUES ('w')")
    here.publish()
    here.family("UPDATE word SET note = '1'")
    here.publish()
    here.family("UPDATE word SET note = '2'")
    exchange(here, there)
    assert squeeze(there) == 0
    assert len(there.entries("word", "w")) == 3


def test_history_is_kept_by_its_age_here_whatever_its_stamps_say(home):
    home.family.add_parent("p")
    home.publish()
    home.run(f"UPDATE {home.prefix}changelog SET stamp = 1")
    home.run(f"UPDATE {home.prefix}row_version SET stamp = 1")
    edit(home, "p", "one", "two", "three")
    assert squeeze(home, 30 * DAY, anew=False) == 0
    later = f"UPDATE {home.prefix}tide SET noted_at = noted_at - {31 * DAY}"
    home.run(later)
    edit(home, "p", "four", "five")
    assert squeeze(home, 30 * DAY, anew=False) == 2
    assert [e.get("note") for e in home.entries("parent", "p")] == [None, "three", "four", "five"]
    home.run(later)
    assert squeeze(home, 30 * DAY, anew=False) == 2


def test_clock_that_was_ahead_does_not_keep_history_for_ever(home):
    home.family.add_parent("p")
    home.publish()
    edit(home, "p", "one", "two")
    squeeze(home, 30 * DAY, anew=False)
    home.run(f"UPDATE {home.prefix}tide SET noted_at = noted_at + {70 * 365 * DAY}")
    squeeze(home, 30 * DAY, anew=False)
    home.run(f"UPDATE {home.prefix}tide SET noted_at = noted_at - {31 * DAY}")
    assert squeeze(home, 30 * DAY, anew=False) == 1


def test_passes_and_contexts_go_with_their_last_entry(families):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    for number in range(4):
        edit(here, "p", f"here {number}")
        exchange(here, there)
        edit(there, "p", f"there {number}")
        exchange(here, there)
    assert count(here, "pass") == 9 and count(here, "context") > 4
    squeeze(here)
    used = here.fetch("SELECT DISTINCT origin, epoch, pass FROM {p}changelog ORDER BY 1, 2, 3")
    assert here.fetch("SELECT origin, epoch, pass FROM {p}pass ORDER BY 1, 2, 3") == used
    assert len(used) < 9
    contexts = here.fetch("SELECT DISTINCT context FROM {p}pass ORDER BY 1")
    assert here.fetch("SELECT context FROM {p}context ORDER BY 1") == contexts
    exchange(here, there)
    assert_in_step(here, there, whole=False)


def test_last_entry_of_each_origin_stays(home):
    home.family.add_parent("p")
    home.publish()
    edit(home, "p", "late")
    home.run(f"UPDATE {home.prefix}changelog SET stamp = stamp - 1000000 WHERE number = 2")
    home.run(
        f'UPDATE {home.prefix}changelog SET columns = \'{{"note":"first","@alive":true}}\''.replace(
            "columns", home.quote("columns")
        )
        + " WHERE number = 1"
    )
    squeeze(home)
    assert home.store.read_last_named(home.origin, 1, 2**62).number == 2


def test_batch_that_comes_again_brings_nothing_back(families):
    here, there = families
    here.family.add_parent("p")
    here.publish()
    edit(here, "p", "one", "two")
    payload = answer(here.store, next_request(there.store, here.origin)).payload
    receive(there.store, here.origin, payload)
    squeeze(there)
    held = there.fetch("SELECT origin, number FROM {p}changelog ORDER BY 1, 2")
    seen = there.fetch("SELECT seen FROM {p}row_version")
    there.run(f"DELETE FROM {there.prefix}peer")
    receive(there.store, here.origin, payload)
    assert there.fetch("SELECT origin, number FROM {p}changelog ORDER BY 1, 2") == held
    assert there.fetch("SELECT seen FROM {p}row_version") == seen


def test_thing_that_lives_by_the_word_of_its_kin_lives_on(pair):
    here, there = pair
    nadia = here.eden.add_person("Nadia", "Haddad")
    exchange(here, there)
    here.eden.soft_delete(nadia)
    here.publish()
    here.eden.undelete(nadia)
    here.publish()
    for number in range(3):
        here.eden.change(nadia, first_name=f"Nadia {number}")
        here.publish()
    squeeze(here)
    there.clean()
    exchange(here, there)
    assert_in_step(here, there, whole=False)
    assert_sound_log(there, whole=False)


@pytest.mark.parametrize("moment", ["read_applied", "delete_entries", "write_compaction"])
def test_application_writes_the_same_rows_in_the_midst_of_a_step_without_waiting(home, other, moment):
    """It holds rows of our log, none of the application's, and nothing that capture needs."""
    home.family.add_parent("p")
    home.publish()
    edit(home, "p", "one", "two", "three")
    application = other(home)
    application(
        "SET lock_timeout = '1ms'" if home.dialect == "postgresql" else "SET innodb_lock_wait_timeout = 0"
    )

    def write():
        application.note("parent", "p", "meanwhile")
        application.add_parent("q")
        application.delete("parent", "q")

    store = InterruptedStore(home.store, moment, write)
    assert sum(step.removed for step in compact(store, 0, anew=True)) == 2
    home.publish()
    assert home.family.shown("parent") == {"p": "meanwhile"}
    assert [e.get("note") for e in home.entries("parent", "p")] == [None, "three", "meanwhile"]


@pytest.mark.parametrize("limit", [1, 3])
def test_interrupted_compaction_goes_on_where_it_was(home, limit):
    home.family.add_parent("p")
    home.publish()
    edit(home, "p", *(str(n) for n in range(10)))
    steps = compact(home.store, 0, anew=True)
    next(steps)
    steps.close()
    home.family.note("parent", "p", "more")
    home.publish()
    assert squeeze(home, anew=False) == 1
    assert count(home) == 2

"""Rows that the application holds are parked and shown later; it never waits for us, nor dies by us."""

from threading import Thread

import pymysql

from changecapture.apply import retry
from changecapture.core.change import Row
from changecapture.pair import pull
from tests.support.interrupt import InterruptedStore
from tests.support.sites import assert_in_step, exchange, send


def test_row_that_the_application_holds_is_parked_and_shown_later(families, other):
    here, there = families
    here.family.add_parent("held")
    here.family.add_parent("free")
    exchange(here, there)
    application = other(there)
    application("BEGIN")
    application("UPDATE parent SET name = 'theirs' WHERE uuid = 'held'")
    here.family.note("parent", "held", "ours")
    here.family.note("parent", "free", "ours")
    send(here, there)
    assert there.parked() == {Row("parent", "held"): "busy"}
    assert there.family.shown("parent")["free"] == "ours"
    assert retry(there.store) == 1
    application("COMMIT")
    assert retry(there.store) == 0
    assert there.family.rows("SELECT name, note FROM parent WHERE uuid = 'held'") == [("theirs", "ours")]
    exchange(here, there)
    assert_in_step(here, there)


def test_later_entries_of_a_busy_row_are_applied_with_it(families, other):
    here, there = families
    here.family.add_parent("held")
    exchange(here, there)
    application = other(there)
    application("BEGIN")
    application("UPDATE parent SET name = 'theirs'")
    for text in ("1", "2", "3"):
        here.family.note("parent", "held", text)
        send(here, there)
    application("ROLLBACK")
    exchange(here, there)
    assert there.family.shown("parent") == {"held": "3"}
    assert there.parked() == {}
    assert_in_step(here, there)


def test_delete_of_a_row_that_the_application_holds_waits(families, other):
    here, there = families
    here.family.add_parent("held")
    exchange(here, there)
    application = other(there)
    application("BEGIN")
    application("UPDATE parent SET name = 'theirs'")
    here.family.delete("parent", "held")
    send(here, there)
    assert there.parked() == {Row("parent", "held"): "busy"}
    application("ROLLBACK")
    exchange(here, there)
    assert there.family.shown("parent") == {}
    assert_in_step(here, there)


def test_delete_waits_while_the_application_holds_a_child(families, other):
    here, there = families
    here.family.add_parent("p")
    here.family.add_child("c", "p")
    exchange(here, there)
    application = other(there)
    application("BEGIN")
    application.note("child", "c", "busy")
    here.family.delete("child", "c")
    here.family.delete("parent", "p")
    send(here, there)
    assert set(there.parked().values()) == {"busy"}
    application("ROLLBACK")
    exchange(here, there)
    assert_in_step(here, there)


def test_key_that_the_application_is_inserting_is_busy_and_the_rest_goes_on(families, other):
    """Its insert is not committed: neither there nor absent."""
    here, there = families
    here.family.add_parent("same", "ours")
    here.family.add_parent("free")
    application = other(there)
    application("BEGIN")
    application.add_parent("same", "theirs")
    send(here, there)
    assert there.parked() == {Row("parent", "same"): "busy"}
    application("COMMIT")
    assert set(there.family.shown("parent")) == {"same", "free"}
    exchange(here, there)
    assert there.parked() == {}
    assert_in_step(here, there)


def test_unique_value_that_the_application_is_inserting_stops_only_its_row(families, other):
    here, there = families
    # Values that no other test has: InnoDB may still hold what another test deleted, and an insert of the
    # same value then locks the gap beside it, which is where others want to insert.
    here.family.add_parent("held-up", "wanted by two")
    here.family.add_parent("unharmed", "wanted by one")
    application = other(there)
    application("BEGIN")
    application.add_parent("the application's", "wanted by two")
    send(here, there)
    assert there.parked() == {Row("parent", "held-up"): "busy"}
    assert set(there.family.shown("parent")) == {"unharmed"}
    application("ROLLBACK")
    exchange(here, there)
    assert_in_step(here, there)


def test_locked_gaps_of_the_application_stop_no_batch(new_site, other):
    """MariaDB: an update without an index, in pyDAL's isolation, locks every gap of the table."""
    here, there = new_site("postgresql", "family"), new_site("mariadb", "family")
    there.family.add_parent("old")
    application = other(there)
    application("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    application("BEGIN")
    application("UPDATE parent SET boss = NULL WHERE note = 'none such'")
    here.family.add_parent("new")
    here.family("INSERT INTO word (text) VALUES ('free')")
    send(here, there)
    assert there.parked() == {Row("parent", "new"): "busy"}
    assert there.family.rows("SELECT text FROM word") == [("free",)]
    application("COMMIT")
    exchange(here, there)
    assert_in_step(here, there)


def test_r8_mariadb_s_deadlock_never_kills_the_application(new_site, other):
    """R8: the applier has changed many rows when it meets a key that the application is inserting, and
    the application then wants one of those rows. It must wait for the applier and go on, without 1213.
    """
    here, there = new_site("postgresql", "family"), new_site("mariadb", "family")
    for number in range(200):
        here.family.add_parent(f"p{number}")
    exchange(here, there)
    application = other(there)
    application("SET SESSION innodb_lock_wait_timeout = 30")
    application("BEGIN")
    application.add_parent("fresh")
    here.family("UPDATE parent SET note = 'changed'")
    here.family.add_parent("fresh")
    failures = []

    def want_a_row():
        try:
            application.note("parent", "p7", "the application's")
            application("COMMIT")
        except pymysql.MySQLError as error:
            failures.append(error)

    thread = Thread(target=want_a_row)
    # The applier has written all its rows when it appends to the changelog.
    pull(here.store, InterruptedStore(there.store, "append_entries", thread.start))
    thread.join()
    assert failures == []
    exchange(here, there)
    assert there.family.shown("parent")["p7"] == "the application's"
    assert_in_step(here, there)


def test_edit_of_a_row_with_a_parked_entry_is_concurrent_with_it(families, other):
    """The author's application never saw the parked value: losing it must be recorded."""
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    application = other(there)
    application("BEGIN")
    application("UPDATE parent SET name = 'busy'")
    here.family.note("parent", "p", "never seen there")
    send(here, there)
    application.note("parent", "p", "written without seeing")
    application("COMMIT")
    there.publish()
    assert "@unseen" in there.entries("parent", "p")[-1]
    exchange(here, there)
    assert here.family.shown("parent") == {"p": "written without seeing"}
    expected = ("parent", "p", "note", '"written without seeing"', '"never seen there"')
    assert expected in here.conflicts()
    assert expected in there.conflicts()
    assert_in_step(here, there)

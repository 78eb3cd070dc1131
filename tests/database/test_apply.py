"""Apply: what cannot be shown waits, what waits is shown, and the application is never in the way."""

from threading import Thread

import pytest

from changecapture.apply import retry
from changecapture.core.change import Name
from changecapture.pair import pull
from changecapture.store import open_store
from changecapture.sync import answer, next_request, receive
from tests.support.compare import assert_equal_sites
from tests.support.interrupt import InterruptedStore
from tests.support.sites import assert_in_step, assert_sound_log, exchange, send
from tests.support.stranger import apply, stranger


def log_of(site):
    """Return everything that a site knows of its rows, to compare before and after."""
    return [
        sorted(site.fetch(f"SELECT {columns} FROM {{p}}{table}"), key=str)
        for table, columns in (
            ("changelog", "origin, epoch, number, applied"),
            ("row_version", "table_name, row_key, stamp, origin, alive, seen"),
            ("conflict", "table_name, row_key, column_name"),
            ("parked", "table_name, row_key, reason"),
            ("waiting", "table_name, row_key, column_name, target_key"),
            ("vector", "origin, epoch, scope, number"),
        )
    ]


def test_applying_a_batch_again_changes_nothing(families):
    here, there = families
    here.family.add_parent("p", "n")
    here.family.add_child("c", "p")
    here.publish()
    payload = answer(here.store, next_request(there.store, here.origin)).payload
    receive(there.store, here.origin, payload)
    before = log_of(there), there.family.rows("SELECT * FROM parent")
    there.run(f"DELETE FROM {there.prefix}peer")
    received = receive(there.store, here.origin, payload)
    assert (received.entries, received.applied, received.parked) == (0, 0, 0)
    assert (log_of(there), there.family.rows("SELECT * FROM parent")) == before


def test_entry_that_stands_twice_in_a_batch_is_applied_once(home):
    entry = stranger("parent", "p", note="n", **{"@alive": True})
    assert apply(home, entry, entry).entries == 1
    assert home.family.shown("parent") == {"p": "n"}


def test_entries_of_one_row_may_come_in_any_order(home):
    late = stranger("parent", "p", 2, 2000, note="late", **{"@alive": True})
    early = stranger("parent", "p", 1, 1000, note="early", name="n", **{"@alive": True})
    apply(home, late)
    apply(home, early)
    assert home.family.rows("SELECT name, note FROM parent") == [("n", "late")]


def test_failure_in_mid_apply_leaves_nothing_behind(families):
    here, there = families
    here.family.add_parent("p")
    here.publish()
    before = log_of(there)

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(here.store, InterruptedStore(there.store, "append_first", fail))
    assert log_of(there) == before
    assert there.family.shown("parent") == {}
    exchange(here, there)
    assert_in_step(here, there)


def test_entries_of_tables_that_a_site_does_not_have_are_carried(new_tables, new_site):
    first, last = new_site("postgresql", "family"), new_site("mariadb", "family")
    middle = new_tables("postgresql", "CREATE TABLE other (uuid varchar(64) PRIMARY KEY, note text)")
    first.family.add_parent("p", "n")
    first.family.add_child("c", "p")
    exchange(first, middle)
    assert middle.fetch("SELECT count(*) FROM {p}changelog WHERE applied = 0") == [(2,)]
    assert middle.parked() == {}
    exchange(middle, last)
    assert set(last.family.shown("child")) == {"c"}
    last.family.note("child", "c", "back")
    exchange(middle, last)
    exchange(first, middle)
    assert first.family.shown("child") == {"c": "back"}
    assert_equal_sites(first.url, last.url)
    assert exchange(first, middle) == 0
    assert exchange(middle, last) == 0


def test_change_goes_through_a_chain_once_and_comes_back_nowhere(new_site):
    chain = [new_site(kind, "family") for kind in ("postgresql", "mariadb", "postgresql")]
    first, middle, last = chain
    first.family.add_parent("p", "n")
    assert exchange(first, middle) == 1
    assert exchange(middle, last) == 1
    last.family.note("parent", "p", "from the end")
    assert exchange(last, middle) == 1
    assert exchange(middle, first) == 1
    for left, right in ((first, middle), (middle, last), (first, last)):
        assert_in_step(left, right)
    for site in chain:
        assert site.fetch("SELECT count(*) FROM {p}changelog") == [(2,)]


def test_parked_entry_is_forwarded(new_site):
    first, middle, last = (new_site(kind, "family") for kind in ("postgresql", "mariadb", "postgresql"))
    first.family.add_parent("a", "Nurse")
    middle.family.add_parent("b", "Nurse")
    exchange(first, middle)
    middle.family("UPDATE parent SET name = 'Staff'")
    middle.publish()
    assert send(middle, last) == 3
    assert set(last.family.shown("parent")) == {"a", "b"}


def test_names_of_entries_are_found(home):
    apply(home, stranger("parent", "p", 1, **{"@alive": True}))
    names = [Name("stranger", 1, 1), Name("stranger", 1, 2), Name("stranger", 2, 1)]
    assert set(home.store.find_names(names)) == {names[0]}


def test_backlog_is_not_published_to_retry_nothing(home):
    home.family.add_parent("a")
    assert retry(home.store) == 0
    assert home.store.has_captured()


def test_r5_two_stores_apply_one_batch_once(families):
    """Two relays on one database: the lock keeps them apart."""
    here, there = families
    for number in range(20):
        here.family.add_parent(f"p{number}")
    here.publish()
    peer = here.origin
    failures = []

    def work():
        store = open_store(there.url)
        source = open_store(here.url)
        try:
            request = next_request(store, peer)
            receive(store, peer, answer(source, request).payload)
        except Exception as error:
            failures.append(error)
        finally:
            store.close()
            source.close()

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("does not follow" in str(error) for error in failures), failures
    assert len(there.family.shown("parent")) == 20
    exchange(here, there)
    assert_in_step(here, there)
    assert_sound_log(there)

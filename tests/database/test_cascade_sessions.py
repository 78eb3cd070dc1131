"""What foreign keys do is announced whatever other sessions do at the same time (design review R1).

MariaDB only: PostgreSQL's own triggers see what happens when it happens.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pymysql
import pytest

from tests.support import estate
from tests.support.family import Family
from tests.support.patience import Patience
from tests.support.sites import assert_in_step, exchange

LEVELS = ("READ COMMITTED", "REPEATABLE READ")


@pytest.fixture
def site(new_site):
    """A filled estate on MariaDB that a peer knows."""
    site, peer = new_site("mariadb", "estate"), new_site("postgresql", "estate")
    for statement in estate.ROWS:
        site.family(statement)
    exchange(site, peer)
    yield site
    assert site.fetch("SELECT reason FROM {p}missed") == []
    exchange(site, peer)
    assert_in_step(site, peer)
    for table in estate.LOCAL_TABLES:
        site.family(f"DELETE FROM {table}")


@pytest.fixture
def sessions(site) -> Iterator[tuple[Family, Family]]:
    """Two sessions of the application, neither autocommit."""
    made = Family(site.url), Family(site.url)
    for session in made:
        session("SET autocommit = 0, innodb_lock_wait_timeout = 10")
    yield made
    for session in made:
        session("ROLLBACK")
        session.close()


@contextmanager
def started(job, *arguments) -> Iterator[Future]:
    """Run a statement of a session beside the test."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(job, *arguments)


def wait_until_blocked(site, session):
    """Return when a session waits for a row lock."""
    number = session.connection.thread_id()
    query = (
        "SELECT 1 FROM information_schema.innodb_trx "
        "WHERE trx_mysql_thread_id = %s AND trx_state = 'LOCK WAIT'"
    )
    # That table is renewed only when nobody has read it for 0.1 s.
    Patience().wait(lambda: site.fetch(query, [number]), "a session that waits for a lock", look_s=0.15)


def announced(site, table):
    """Return the numbers of the rows of a table that were announced to go."""
    return sorted(
        int(key)
        for (key,) in site.fetch(
            "SELECT JSON_VALUE(`key`, '$[0]') FROM {p}captured JOIN {p}synced_table USING (table_id) "
            "WHERE operation = 'd' AND table_name = %s",
            [table],
        )
    )


@pytest.mark.parametrize("level", LEVELS)
def test_r1_child_that_was_committed_after_the_snapshot_is_announced(site, sessions, level):
    ours, other = sessions
    ours(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    ours.rows("SELECT * FROM camp")
    other("INSERT INTO tent (id, uuid, camp_id) VALUES (13, 'tent 13', 1)")
    other("INSERT INTO bed (id, uuid, tent_id) VALUES (131, 'bed 131', 13)")
    other("COMMIT")
    ours("DELETE FROM camp WHERE id = 1")
    ours("COMMIT")
    assert announced(site, "tent") == [11, 12, 13]
    assert announced(site, "bed") == [111, 112, 131]


def test_r1_descendant_that_was_committed_after_the_snapshot_is_announced(site, sessions):
    """A self reference: its rows can only be locked for sharing."""
    ours, other = sessions
    ours.rows("SELECT * FROM node")
    other("INSERT INTO node (id, uuid, parent) VALUES (6, 'node 6', 3), (7, 'node 7', 6)")
    other("COMMIT")
    ours("DELETE FROM node WHERE id = 1")
    ours("COMMIT")
    assert announced(site, "node") == [2, 3, 4, 6, 7]


def test_r1_child_that_was_committed_after_the_snapshot_is_announced_where_the_statement_reads_it(
    site, sessions
):
    """A multi-table DELETE: the child's rows can only be locked for sharing."""
    ours, other = sessions
    ours.rows("SELECT * FROM camp")
    other("INSERT INTO tent (id, uuid, camp_id) VALUES (13, 'tent 13', 1)")
    other("COMMIT")
    ours("DELETE camp FROM camp JOIN tent ON tent.camp_id = camp.id WHERE tent.id = 11")
    ours("COMMIT")
    assert announced(site, "tent") == [11, 12, 13]


@pytest.mark.parametrize("level", LEVELS)
def test_child_that_is_committed_while_the_statement_waits_is_announced(site, sessions, level):
    """DELETE of two parents: it waits for the first while a child of the second is committed."""
    ours, other = sessions
    ours(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    other("UPDATE camp SET title = 'held' WHERE id = 1")
    other("INSERT INTO tent (id, uuid, camp_id) VALUES (22, 'tent 22', 2)")
    with started(ours, "DELETE FROM camp WHERE id IN (1, 2)") as deleting:
        wait_until_blocked(site, ours)
        other("COMMIT")
        assert deleting.result() == 2
    ours("COMMIT")
    assert announced(site, "tent") == [11, 12, 21, 22]


@pytest.fixture
def gate(site) -> Iterator[Family]:
    """Stops a DELETE of a camp, in sessions with @stopped, between its announcements and its action.

    The application's own trigger, made after ours, runs after it; the gate opens with RELEASE_LOCK.
    """
    site.run(
        "CREATE TRIGGER app_gate BEFORE DELETE ON camp FOR EACH ROW "
        "SET @passed = IF(@stopped, GET_LOCK('app_gate', 20) + RELEASE_LOCK('app_gate'), 0)"
    )
    keeper = Family(site.url)
    keeper.rows("SELECT GET_LOCK('app_gate', 0)")
    yield keeper
    keeper.close()
    site.run("DROP TRIGGER app_gate")


def wait_until_stopped(site, session):
    """Return when a session stands at the gate."""
    query = "SELECT 1 FROM information_schema.processlist WHERE id = %s AND state = 'User lock'"
    number = session.connection.thread_id()
    Patience().wait(lambda: site.fetch(query, [number]), "a session at the gate")


@pytest.mark.parametrize("level", LEVELS)
def test_grandchild_cannot_be_added_between_announcement_and_action(site, sessions, gate, level):
    """LOCK IN SHARE MODE would let it in under READ COMMITTED, and it would go unseen."""
    ours, other = sessions
    for session in sessions:
        session(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    ours("SET @stopped = 1")
    with started(ours, "DELETE FROM camp WHERE id = 1") as deleting:
        wait_until_stopped(site, ours)
        with started(other, "INSERT INTO bed (id, uuid, tent_id) VALUES (113, 'late', 11)") as adding:
            wait_until_blocked(site, other)
            gate.rows("SELECT RELEASE_LOCK('app_gate')")
            assert deleting.result() == 1
            ours("COMMIT")
            with pytest.raises(pymysql.IntegrityError, match="foreign key constraint"):
                adding.result()
    assert announced(site, "bed") == [111, 112]


@pytest.mark.parametrize("level", LEVELS)
def test_update_of_a_child_waits_for_the_delete_of_its_parent_and_stops_nobody(site, sessions, gate, level):
    """LOCK IN SHARE MODE would make each wait for the other: the delete times out."""
    ours, other = sessions
    for session in sessions:
        session(f"SET SESSION TRANSACTION ISOLATION LEVEL {level}")
    ours("SET @stopped = 1")
    with started(ours, "DELETE FROM camp WHERE id = 1") as deleting:
        wait_until_stopped(site, ours)
        with started(other, "UPDATE bed SET note = 'late' WHERE id = 111") as updating:
            wait_until_blocked(site, other)
            gate.rows("SELECT RELEASE_LOCK('app_gate')")
            assert deleting.result() == 1
            ours("COMMIT")
            assert updating.result() == 0
            other("COMMIT")


def test_lock_that_is_waited_for_in_vain_fails_the_delete_as_it_would_without_us(site, sessions):
    """The application's own action would have waited for the same row: 1205 is not swallowed."""
    ours, other = sessions
    other("UPDATE bed SET note = 'held' WHERE id = 111")
    ours("SET innodb_lock_wait_timeout = 1")
    with pytest.raises(pymysql.OperationalError) as refused:
        ours("DELETE FROM camp WHERE id = 1")
    assert refused.value.args[0] == 1205
    other("ROLLBACK")
    ours("COMMIT")
    assert site.fetch("SELECT count(*) FROM {p}captured") == [(0,)]
    assert site.fetch("SELECT count(*) FROM camp WHERE id = 1") == [(1,)]


def test_deadlock_in_the_walk_fails_the_statement(site, sessions):
    """The transaction is gone with it: going on would keep half of it."""
    ours, other = sessions
    ours("UPDATE zone SET title = 'ours' WHERE code = 'c'")
    other("UPDATE bed SET note = 'held' WHERE id = 111")
    other("UPDATE bed SET note = 'held' WHERE id = 112")
    with started(ours, "DELETE FROM camp WHERE id = 1") as deleting:
        wait_until_blocked(site, ours)
        failed = []
        for session, call in (
            (other, lambda: other("UPDATE zone SET title = 'other' WHERE code = 'c'")),
            (ours, deleting.result),
        ):
            try:
                call()
                session("COMMIT")
            except pymysql.OperationalError as error:
                failed.append(error.args[0])
                session("ROLLBACK")
    assert failed == [1213]

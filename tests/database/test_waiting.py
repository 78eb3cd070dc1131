"""What the application waits for, and what its own time limits do: as it would be without us."""

import statistics
import time
from contextlib import closing

import psycopg
import pymysql
import pytest

from tests.support.applications import CAMPS
from tests.support.commands import run_command
from tests.support.databases import connect_mysql, fetch, is_mariadb, run_script
from tests.support.family import Family
from tests.support.patience import Patience
from tests.support.servers import MariaDBServer

UNNOTICED_S = 0.05
ROWS = 300
WAITING = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"


class Stalled(Exception):
    """A single update waited for the bulk update, until its own time limit."""


def fill(url):
    """Write rows that are all captured: the last one is locked by ``hold_last``."""
    names = ", ".join(f"('camp {n:04}', 'valley')" for n in range(ROWS))
    run_script(url, f"INSERT INTO camp VALUES {names}; INSERT INTO tent (uuid, beds) VALUES ('t', 0)")


def stall(url):
    """Return the seconds of single updates while a bulk update of another table is half done.

    The bulk update has captured all rows but the last, which somebody else holds.
    """
    fill(url)
    patience = Patience()
    times = []
    with closing(Family(url)) as holder, closing(Family(url)) as bulk, closing(connect_mysql(url)) as single:
        holder("BEGIN")
        holder(f"UPDATE camp SET place = 'held' WHERE name = 'camp {ROWS - 1:04}'")

        def update():
            cursor = single.cursor()
            cursor.execute("SET innodb_lock_wait_timeout = 1")
            try:
                # InnoDB shows a picture of its locks, made anew when nobody has looked for 0.1 s.
                waits = "the bulk update waits for the last row"
                patience.wait(lambda: fetch(url, WAITING) == [(1,)], waits, look_s=0.2)
                for _ in range(15):
                    began = time.monotonic()
                    try:
                        assert cursor.execute("UPDATE tent SET beds = beds + 1") == 1
                    except pymysql.OperationalError as error:
                        raise Stalled from error
                    times.append(time.monotonic() - began)
            finally:
                holder("COMMIT")

        patience.together(lambda: bulk("UPDATE camp SET place = 'hill'"), update)
    return times


@pytest.fixture
def camps(server, new_database):
    url = new_database(server)
    run_script(url, CAMPS)
    assert run_command("install", url, "--profile", "generic").status == 0
    return url


def test_single_update_does_not_wait_for_a_bulk_update_of_another_table(mariadb, new_database):
    url = new_database(mariadb)
    run_script(url, CAMPS)
    run_command("install", url, "--profile", "generic")
    times = stall(url)
    assert len(times) == 15
    assert statistics.median(times) < UNNOTICED_S
    assert fetch(url, "SELECT count(*) FROM changecapture_captured") == [(2 * ROWS + 1 + 1 + 15,)]


def test_single_update_does_wait_where_the_server_locks_numbers_for_whole_statements(scratch):
    """What doctor warns of; and the law above is seen to be one that can be broken."""
    with MariaDBServer(scratch / "stalling", options={"innodb-autoinc-lock-mode": "0"}) as old:
        url = old.create_database("camp")
        run_script(url, CAMPS)
        run_command("install", url, "--profile", "generic")
        with pytest.raises(Stalled):
            stall(url)


def limit(application, server):
    if server.dialect == "postgresql":
        application("SET statement_timeout = '300ms'")
    elif is_mariadb(server.url("mysql")):
        application("SET max_statement_time = 0.3")
    else:
        pytest.skip("MySQL has no time limit for statements that write")


def lock_captured(keeper, server):
    """Hold the queue so that no trigger can write it."""
    if server.dialect == "postgresql":
        keeper("BEGIN")
        keeper("LOCK TABLE changecapture.captured")
    else:
        keeper("LOCK TABLES changecapture_captured WRITE")


def release_captured(keeper, server):
    keeper("COMMIT" if server.dialect == "postgresql" else "UNLOCK TABLES")


def test_time_limit_of_the_application_ends_a_statement_that_waits_in_capture(camps, server):
    """The application's limit is its own: it is told that, the statement is undone, nothing is missed."""
    prefix = "changecapture." if server.dialect == "postgresql" else "changecapture_"
    with closing(Family(camps)) as keeper, closing(Family(camps)) as application:
        limit(application, server)
        lock_captured(keeper, server)
        try:
            with pytest.raises(
                (psycopg.errors.QueryCanceled, pymysql.OperationalError),
                match=r"statement.time",
            ):
                application("INSERT INTO camp VALUES ('late', 'valley')")
        finally:
            release_captured(keeper, server)
        assert application.rows("SELECT * FROM camp") == []
        assert fetch(camps, f"SELECT count(*) FROM {prefix}captured") == [(0,)]
        assert fetch(camps, f"SELECT count(*) FROM {prefix}missed") == [(0,)]
        assert application("INSERT INTO camp VALUES ('in time', 'valley')") == 1
    assert fetch(camps, f"SELECT count(*) FROM {prefix}captured") == [(1,)]

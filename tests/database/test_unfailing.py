"""Whatever happens to our objects, the application's writes go through; what was not captured is noted."""

import json
import os
import shutil

import pytest
from psycopg.errors import DiskFull
from pymysql.err import OperationalError

from tests.support.commands import run_command
from tests.support.databases import fetch, is_mariadb
from tests.support.family import Family


@pytest.fixture
def url(server, new_database):
    """A small application, installed, in a database that may be spoiled."""
    url = new_database(server)
    application = Family(url)
    for table in ("person", "contact"):
        application(
            f"CREATE TABLE {table} (uuid varchar(64) NOT NULL PRIMARY KEY, name varchar(60), age integer)"
        )
    application(
        "ALTER TABLE contact ADD CONSTRAINT of_person FOREIGN KEY (name) REFERENCES person (uuid) "
        "ON DELETE CASCADE ON UPDATE CASCADE"
    )
    application("INSERT INTO person VALUES ('a', 'Anna', 1), ('b', 'Ben', 2)")
    application("INSERT INTO contact VALUES ('a1', 'a', NULL)")
    application.close()
    assert run_command("install", url, "--profile", "generic").status == 0
    return url


@pytest.fixture
def application(url):
    connection = Family(url)
    yield connection
    connection.close()


@pytest.fixture
def prefix(server):
    return "changecapture." if server.dialect == "postgresql" else "changecapture_"


def rename(application, prefix, table):
    target = "lost" if prefix.endswith(".") else "changecapture_lost"
    application(f"ALTER TABLE {prefix}{table} RENAME TO {target}")


def write_everything(application):
    """Insert, update, rename and delete; fail when a row count is wrong."""
    assert application("INSERT INTO person VALUES ('c', 'Cleo', 3), ('d', 'Dan', 4)") == 2
    assert application("UPDATE person SET name = 'Anne', age = 9 WHERE uuid = 'a'") == 1
    assert application("UPDATE person SET uuid = 'z' WHERE uuid = 'a'") == 1
    assert application.rows("SELECT name FROM contact") == [("z",)]
    assert application("DELETE FROM person WHERE uuid = 'z'") == 1
    assert application("DELETE FROM person") == 3
    assert application.rows("SELECT uuid FROM contact") == []


def missed(url, prefix):
    return fetch(url, f"SELECT table_name, operation, reason FROM {prefix}missed ORDER BY id")


def test_writes_go_through_without_the_table_that_captures(url, application, prefix):
    rename(application, prefix, "captured")
    write_everything(application)
    noted = missed(url, prefix)
    assert noted[0][:2] == ("person", "I")
    assert "captured" in noted[0][2]


def test_writes_go_through_without_any_table_of_ours(url, application, prefix):
    application(f"DROP TABLE {prefix}captured")
    application(f"DROP TABLE {prefix}missed")
    write_everything(application)


def test_writes_go_through_without_our_procedures(mariadb, url, application, prefix, server):
    if server is not mariadb:
        application(
            "DROP SCHEMA changecapture CASCADE"
        )  # and its functions: PostgreSQL takes the triggers too
    else:
        for (name,) in fetch(
            url, "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
        ):
            application(f"DROP PROCEDURE `{name}`")
    write_everything(application)


def test_writes_go_through_when_a_captured_column_is_gone(url, application, prefix):
    """An upgrade of the application, before install is run again."""
    application("ALTER TABLE person DROP COLUMN age")
    assert application("INSERT INTO person VALUES ('c', 'Cleo')") == 1
    assert application("UPDATE person SET name = 'Anne' WHERE uuid = 'a'") == 1
    assert application("DELETE FROM person") == 3
    assert {row[:2] for row in missed(url, prefix)} >= {("person", "U")}
    assert run_command("install", url).status == 0
    application(f"DELETE FROM {prefix}missed")
    application("INSERT INTO person VALUES ('e', 'Eve')")
    application("UPDATE person SET name = 'Eva'")
    assert missed(url, prefix) == []


def test_what_was_captured_before_the_failure_is_published(url, application, prefix):
    application("UPDATE person SET age = 7 WHERE uuid = 'b'")
    application("ALTER TABLE contact DROP COLUMN age")
    application("UPDATE contact SET uuid = 'a2'")
    assert fetch(url, f"SELECT count(*) FROM {prefix}captured") == [(1,)]
    assert run_command("install", url).status == 0


def set_up(url: str) -> Family:
    """Return an application of one table that is synced."""
    application = Family(url)
    application("CREATE TABLE person (uuid varchar(64) NOT NULL PRIMARY KEY, name varchar(60), age integer)")
    assert run_command("install", url, "--profile", "generic").status == 0
    return application


def test_writes_go_through_when_the_disk_of_our_tables_is_full(postgres, new_database, small_disk):
    """A tablespace of their own, as a DBA may give them; PostgreSQL only."""
    url = new_database(postgres)
    application = set_up(url)
    ((data,),) = fetch(url, "SHOW data_directory")
    os.chown(small_disk, os.stat(data).st_uid, -1)
    application(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    application("ALTER TABLE changecapture.captured SET TABLESPACE small")
    (small_disk / "rest").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    rows = ", ".join(f"('n{number}', 'N', {number})" for number in range(5000))
    assert application(f"INSERT INTO person VALUES {rows}") == 5000
    assert application("UPDATE person SET age = -1") == 5000
    noted = missed(url, "changecapture.")
    assert "No space left on device" in noted[0][2]
    (small_disk / "rest").unlink()
    assert run_command("reconcile", url).status == 0
    assert fetch(url, "SELECT count(*) FROM changecapture.row_version") == [(5000,)]
    application("ALTER TABLE changecapture.captured SET TABLESPACE pg_default")
    application("DROP TABLESPACE small")
    application.close()


def test_a_write_fails_where_the_disk_has_no_room_to_note_that_it_was_not_captured(
    postgres, new_database, small_disk
):
    """The application's own table has room in the pages that it has; PostgreSQL only."""
    url = new_database(postgres)
    application = set_up(url)
    ((data,),) = fetch(url, "SHOW data_directory")
    os.chown(small_disk, os.stat(data).st_uid, -1)
    application(f"CREATE TABLESPACE small LOCATION '{small_disk}'")
    for table in ("captured", "missed"):
        application(f"ALTER TABLE changecapture.{table} SET TABLESPACE small")
    (small_disk / "rest").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(DiskFull):
        application("INSERT INTO person VALUES ('a', 'Anna', 1)")
    (small_disk / "rest").unlink()
    assert application("INSERT INTO person VALUES ('a', 'Anna', 1)") == 1
    assert fetch(url, "SELECT count(*) FROM changecapture.captured") == [(1,)]
    for table in ("captured", "missed"):
        application(f"ALTER TABLE changecapture.{table} SET TABLESPACE pg_default")
    application("DROP TABLESPACE small")
    application.close()


def test_a_write_fails_where_the_table_of_what_was_missed_is_full_too(mariadb, new_database):
    """Of an engine whose tables have a largest size, where the server says 1114; MySQL only."""
    url = new_database(mariadb)
    application = set_up(url)
    for table in ("captured", "missed"):
        application(f"ALTER TABLE changecapture_{table} ENGINE = MyISAM, MAX_ROWS = 2, AVG_ROW_LENGTH = 1")
    notes = ", ".join(["('person', 'I', 'before', 0)"] * 9999)
    with pytest.raises(OperationalError, match="is full"):
        application(
            f"INSERT INTO changecapture_missed (table_name, operation, reason, missed_at) VALUES {notes}"
        )
    rows = ", ".join(f"('n{number}', 'N', {number})" for number in range(5000))
    with pytest.raises(OperationalError, match="is full"):
        application(f"INSERT INTO person VALUES {rows}")
    assert fetch(url, "SELECT count(*) FROM person") == [(0,)]
    application.close()


def test_writes_go_through_when_the_table_that_captures_is_full(mariadb, new_database):
    """Of an engine whose tables have a largest size, where the server says 1114; MySQL only."""
    url = new_database(mariadb)
    application = set_up(url)
    application("ALTER TABLE changecapture_captured ENGINE = MyISAM, MAX_ROWS = 2, AVG_ROW_LENGTH = 1")
    rows = ", ".join(f"('n{number}', 'N', {number})" for number in range(5000))
    assert application(f"INSERT INTO person VALUES {rows}") == 5000
    assert application("UPDATE person SET age = -1") == 5000
    assert "full" in missed(url, "changecapture_")[0][2]
    application("ALTER TABLE changecapture_captured ENGINE = InnoDB")
    assert run_command("reconcile", url).status == 0
    assert fetch(url, "SELECT count(*) FROM changecapture_row_version") == [(5000,)]
    application.close()


def test_failure_is_noted_once_a_second_however_many_rows_it_meets(url, application, prefix):
    rename(application, prefix, "captured")
    rows = ", ".join(f"('n{number}', 'N', {number})" for number in range(500))
    assert application(f"INSERT INTO person VALUES {rows}") == 500
    assert len(missed(url, prefix)) == 1


def test_status_says_what_was_missed(url, application, prefix):
    assert "missed" not in run_command("status", url).out
    application("ALTER TABLE person DROP COLUMN age")
    application("UPDATE person SET name = 'Anne' WHERE uuid = 'a'")
    shown = run_command("status", url)
    assert shown.status == 0
    assert "missed:" in shown.out
    assert "person" in shown.out
    assert "reconcile" in shown.out
    (noted,) = json.loads(run_command("status", url, "--json").out)["missed"]
    assert (noted["table"], noted["count"]) == ("person", 1)


def test_failure_of_the_application_s_own_statement_stays_a_failure(url, application):
    with pytest.raises(Exception, match=r"(?i)duplicate"):
        application("INSERT INTO person VALUES ('a', 'again', 1)")
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        application("INSERT INTO contact VALUES ('x', 'nobody', 1)")


def test_lock_on_our_table_does_not_fail_a_statement_that_may_not_wait(postgres, new_database):
    """VACUUM FULL of captured beside an application with a lock_timeout: PostgreSQL only."""
    url = new_database(postgres)
    application, other = Family(url), Family(url)
    application("CREATE TABLE person (uuid varchar(64) NOT NULL PRIMARY KEY, name varchar(60))")
    assert run_command("install", url, "--profile", "generic").status == 0
    other("BEGIN")
    other("LOCK TABLE changecapture.captured")
    application("SET lock_timeout = '50ms'")
    assert application("INSERT INTO person VALUES ('a', 'Anna')") == 1
    other("ROLLBACK")
    assert [row[:2] for row in missed(url, "changecapture.")] == [("person", "I")]
    application.close()
    other.close()


def test_interrupted_statement_is_interrupted(url, application, server, prefix):
    """The time limit of the application's session is its own: nothing of it stays."""
    rows = ", ".join(f"('n{number}', 'N', {number})" for number in range(5000))
    if server.dialect == "postgresql":
        application("SET statement_timeout = '20ms'")
    elif is_mariadb(url):
        application("SET max_statement_time = 0.02")
    else:
        pytest.skip("MySQL has no time limit for statements that write")
    with pytest.raises(Exception, match=r"(?i)timeout|max_statement_time|interrupted"):
        for _ in range(50):
            application(f"INSERT INTO person VALUES {rows}")
            application("DELETE FROM person WHERE name = 'N'")
    assert missed(url, prefix) == []

"""Servers of our own: they come back after a stop and after a kill, and leave nothing running."""

import subprocess

import psutil
import psycopg
import pytest

from tests.support import servers
from tests.support.databases import connect_postgresql, fetch, run_script
from tests.support.process import PASSWORD, USER, ServerError
from tests.support.servers import MariaDBServer, PostgresServer, scratch_directory


def make_postgres16(directory):
    return PostgresServer(directory, version=16, durable=True)


def make_postgres18(directory):
    return PostgresServer(directory, version=18, durable=True)


def make_mariadb(directory):
    return MariaDBServer(directory, durable=True)


@pytest.fixture(params=[make_postgres16, make_postgres18, make_mariadb])
def own_server(request):
    """A running, durable server on a real disk, with one row in a table of the database `site`."""
    with scratch_directory(durable=True) as directory, request.param(directory / "server") as own:
        run_script(own.create_database("site"), "CREATE TABLE t (n integer)")
        run_script(own.url("site"), "INSERT INTO t VALUES (1)")
        yield own


def test_committed_rows_survive_stop_and_kill_under_the_same_url(own_server):
    url = own_server.url("site")
    own_server.restart()
    run_script(url, "INSERT INTO t VALUES (2)")
    own_server.kill()
    assert not own_server.running
    own_server.start()
    assert sorted(fetch(url, "SELECT n FROM t")) == [(1,), (2,)]


def test_kill_ends_every_process_of_the_server(own_server):
    parent = psutil.Process(own_server._process.pid)
    family = [parent, *parent.children(recursive=True)]
    own_server.kill()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def test_the_client_of_a_stopped_server_is_sent_away(postgres_of_our_own):
    with connect_postgresql(postgres_of_our_own.url("postgres")) as session:
        postgres_of_our_own.stop()
        with pytest.raises(psycopg.OperationalError):
            session.execute("SELECT 1")


@pytest.fixture
def postgres_of_our_own(scratch):
    with PostgresServer(scratch / "own") as own:
        yield own


def test_copy_of_a_database_holds_its_rows(server, new_database):
    url = new_database(server)
    run_script(url, "CREATE TABLE t (n integer)")
    run_script(url, "INSERT INTO t VALUES (7)")
    template = url.rpartition("/")[2]
    try:
        copy = server.create_database(f"{template}_copy", template)
        assert fetch(copy, "SELECT n FROM t") == [(7,)]
    finally:
        server.drop_database(f"{template}_copy")


@pytest.mark.parametrize("version", [16, 18])
def test_lent_programs_run_where_they_were_lent_to(scratch, version):
    programs = servers.find_postgres(version)
    lent = servers.lend_programs(programs, scratch / f"lent{version}")
    assert lent != programs
    answer = subprocess.run([lent / "initdb", "--version"], check=True, capture_output=True)
    assert f"PostgreSQL) {version}." in answer.stdout.decode()


def test_setting_of_a_server_is_passed_on(scratch):
    with PostgresServer(scratch / "setting", options={"wal_level": "logical"}) as own:
        assert fetch(own.url("postgres"), "SHOW wal_level") == [("logical",)]


def test_password_is_quoted_in_the_url(scratch):
    url = PostgresServer(scratch / "unused").url("site")
    assert PASSWORD not in url
    assert url.startswith(f"postgresql://{USER}:s%25cret%2F1@127.0.0.1:")


def test_missing_mariadb_names_the_command_that_installs_it(scratch, monkeypatch):
    monkeypatch.setattr(servers.shutil, "which", lambda *_, **__: None)
    with pytest.raises(ServerError, match="apt-get install mariadb-server"):
        MariaDBServer(scratch / "missing").start()


def test_server_that_does_not_start_shows_the_end_of_its_log(scratch):
    broken = PostgresServer(scratch / "broken", options={"no_such_setting": "1"})
    with pytest.raises(ServerError, match="no_such_setting"):
        broken.start()
    assert not broken.running

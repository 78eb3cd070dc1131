"""``changecapture sync``: two databases end in step, and the exit status tells."""

from itertools import product

import pytest

from tests.support.applications import add_camps, create_camps, read_camps
from tests.support.commands import run_command
from tests.support.databases import fetch, run_script

ENGINES = ("postgresql", "mariadb")


@pytest.fixture(params=list(product(ENGINES, ENGINES)), ids="-".join)
def sites(request, new_database):
    """Two installed databases, on each pair of engines in turn."""
    servers = {"postgresql": "postgres", "mariadb": "mariadb"}
    urls = [create_camps(new_database(request.getfixturevalue(servers[engine]))) for engine in request.param]
    for url in urls:
        assert run_command("install", url, "--profile", "generic").status == 0
    return urls


@pytest.fixture
def pair(server, new_database):
    urls = [create_camps(new_database(server)) for _ in range(2)]
    for url in urls:
        assert run_command("install", url, "--profile", "generic").status == 0
    return urls


def test_both_hold_the_same_rows_and_the_counts_are_told(sites):
    here, there = sites
    add_camps(here, 3, "here")
    add_camps(there, 2, "there")
    done = run_command("sync", here, there)
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[0] == "5 entries travelled"
    assert [line.rpartition(": ")[2] for line in lines[1:3]] == ["5 entries, 0 rows parked, 0 conflicts"] * 2
    assert lines[3] == "equal"
    assert read_camps(here) == read_camps(there)
    assert len(read_camps(here)) == 5


def test_second_sync_moves_nothing(pair):
    add_camps(pair[0], 3)
    run_command("sync", *pair)
    assert run_command("sync", *pair).out.splitlines()[0] == "0 entries travelled"


def test_other_database_comes_from_the_environment(pair, monkeypatch):
    add_camps(pair[0], 3)
    monkeypatch.setenv("CHANGECAPTURE_URL", pair[0])
    assert run_command("sync", pair[1]).status == 0
    assert read_camps(pair[1]) == read_camps(pair[0])


def test_rows_from_before_the_installation_arrive(server, new_database):
    here, there = (create_camps(new_database(server)) for _ in range(2))
    add_camps(here, 3)
    for url in (here, there):
        run_command("install", url, "--profile", "generic")
    assert run_command("sync", here, there).status == 0
    assert read_camps(there) == read_camps(here)


def test_parked_rows_are_left_to_a_person_and_the_status_says_so(pair):
    here, there = pair
    run_script(there, "ALTER TABLE tent ADD UNIQUE (beds)")
    run_script(there, "INSERT INTO tent (uuid, beds) VALUES ('b', 4)")
    run_script(here, "INSERT INTO tent (uuid, beds) VALUES ('a', 4)")
    done = run_command("sync", here, there)
    assert done.status == 1
    assert done.out.splitlines()[2].endswith("2 entries, 1 row parked, 0 conflicts")
    assert done.out.splitlines()[3].startswith("in step, but: 1 row parked in ")
    assert fetch(there, "SELECT uuid FROM tent") == [("b",)]


def test_databases_of_two_applications_are_neither_mixed_nor_called_equal(server, new_database):
    here, there = create_camps(new_database(server)), new_database(server)
    run_script(there, "CREATE TABLE book (title varchar(60) NOT NULL PRIMARY KEY)")
    for url in (here, there):
        run_command("install", url, "--profile", "generic")
    add_camps(here, 3)
    for command in ("sync", "verify"):
        done = run_command(command, here, there)
        assert (done.status, done.out) == (2, "")
        assert "no table in common" in done.err
    assert run_command("status", there).out.count("0 entries") == 1


def test_two_empty_sites_are_not_called_equal(pair):
    assert run_command("verify", *pair).out == "nothing to compare: no row stands in the 2 tables of both\n"


def test_mapping_of_another_application_is_refused_before_anything_is_changed(server, new_database):
    url = create_camps(new_database(server))
    done = run_command("install", url, "--profile", "generic", "--mapping", "vesuvius")
    assert done.status == 2
    assert "none of its tables is synced there" in done.err
    assert "nothing of changecapture" in run_command("uninstall", url, "--yes").out

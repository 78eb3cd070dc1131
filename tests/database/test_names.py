"""How rows are named where the application names none, or two alike; the index that finds them."""

import json
from contextlib import closing
from threading import Thread

import psycopg
import pytest

from tests.support.commands import run_command
from tests.support.databases import connect_postgresql, fetch, run_script
from tests.support.patience import Patience
from tests.support.sites import assert_in_step, exchange

PROFILE = 'extends = "generic"\n[identity]\ncolumns = ["uuid"]\nunique = false\n'
ENTITY = "CREATE TABLE entity (id {serial} PRIMARY KEY, uuid varchar(128), name varchar(60))"
INDEX = "SELECT indisvalid FROM pg_index WHERE indexrelid::regclass::text LIKE 'changecapture_identity_%'"


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "loose.toml"
    path.write_text(PROFILE)
    return str(path)


@pytest.fixture
def entities(server, new_database):
    """Super rows as Eden has them: their uuid may be missing, or stand in several."""
    url = new_database(server)
    run_script(
        url, ENTITY.format(serial="serial" if server.dialect == "postgresql" else "int AUTO_INCREMENT")
    )
    run_script(url, "INSERT INTO entity (uuid, name) VALUES ('urn:1', 'a'), ('urn:1', 'b'), ('urn:2', 'c')")
    return url


def test_name_that_stands_in_two_rows_is_flagged_and_stops_nothing(entities, profile):
    assert run_command("install", entities, "--profile", profile).status == 0
    found = json.loads(run_command("doctor", entities, "--json").out)
    assert [f["what"] for f in found if f["check"] == "names"] == [
        "entity: 1 values of uuid stand in several rows"
    ]
    run_script(entities, "UPDATE entity SET uuid = 'urn:3' WHERE name = 'b'")
    found = json.loads(run_command("doctor", entities, "--json").out)
    assert [f["state"] for f in found if f["check"] == "names"] == ["well"]


def test_missing_names_are_not_one_name(entities, profile):
    run_script(entities, "UPDATE entity SET uuid = NULL WHERE name <> 'a'")
    assert run_command("install", entities, "--profile", profile).status == 0
    found = json.loads(run_command("doctor", entities, "--json").out)
    assert [f["state"] for f in found if f["check"] == "names"] == ["well"]


def test_index_is_made_while_the_application_writes_and_goes_with_the_removal(
    postgres, new_database, profile
):
    url = new_database(postgres)
    run_script(url, ENTITY.format(serial="serial"))
    statuses = []
    with closing(connect_postgresql(url)) as slow:
        slow.execute("BEGIN; INSERT INTO entity (name) VALUES ('not committed yet')")
        install = Thread(
            target=lambda: statuses.append(run_command("install", url, "--profile", profile).status)
        )
        install.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        waiting += "AND query LIKE 'CREATE INDEX CONCURRENTLY%'"
        Patience().wait(lambda: fetch(url, waiting), "the index waits")
        run_script(url, "SET lock_timeout = '2s'; INSERT INTO entity (name) VALUES ('meanwhile')")
        slow.execute("COMMIT")
        install.join()
    assert statuses == [0]
    assert fetch(url, INDEX) == [(True,)]
    assert run_command("uninstall", url, "--yes").status == 0
    assert fetch(url, INDEX) == []


def test_index_that_was_left_half_made_is_made_again(postgres, new_database, profile):
    url = new_database(postgres)
    run_script(url, ENTITY.format(serial="serial"))
    with closing(connect_postgresql(url)) as slow, closing(connect_postgresql(url)) as other:
        slow.execute("BEGIN; INSERT INTO entity (name) VALUES ('x')")
        other.execute("SET lock_timeout = 10")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("CREATE INDEX CONCURRENTLY changecapture_identity_1 ON entity (uuid)")
        slow.execute("COMMIT")
    assert fetch(url, INDEX) == [(False,)]
    assert run_command("install", url, "--profile", profile).status == 0
    assert fetch(url, INDEX) == [(True,)]


PERSON = (
    "CREATE TABLE person (id {serial} PRIMARY KEY, "
    "uuid varchar(128) NOT NULL DEFAULT '{constant}' UNIQUE, name varchar(60), note varchar(60))"
)


@pytest.mark.parametrize("kinds", [("postgresql", "mariadb"), ("mariadb", "mariadb")], ids="-".join)
def test_rows_without_a_uuid_travel_though_the_constants_of_the_sites_differ(new_tables, kinds):
    """A raw INSERT leaves Eden's constant default in the uuid; every site has another constant."""
    sites = []
    for kind in kinds:
        serial = "serial" if kind == "postgresql" else "int AUTO_INCREMENT"
        script = PERSON.format(serial=serial, constant=f"urn:uuid:constant-{len(sites)}")
        sites.append(new_tables(kind, f"{script}; INSERT INTO person (name) VALUES ('old {len(sites)}')"))
    here, there = sites
    exchange(here, there)
    here.family("UPDATE person SET uuid = 'urn:uuid:real' WHERE name = 'old 0'")
    here.family("INSERT INTO person (name) VALUES ('new 0')")
    exchange(here, there)
    there.family("UPDATE person SET note = 'met'")
    exchange(here, there)
    for site in sites:
        rows = site.family.rows("SELECT name, note FROM person ORDER BY name")
        assert rows == [("new 0", "met"), ("old 0", "met"), ("old 1", "met")]
        assert site.parked() == {}
    assert there.family.rows("SELECT name FROM person WHERE uuid = 'urn:uuid:real'") == [("old 0",)]
    assert_in_step(here, there)


def test_super_rows_without_a_uuid_travel_each_for_itself(pair):
    here, there = pair
    for _ in range(2):
        here.eden.execute("INSERT INTO pr_pentity (instance_type, deleted) VALUES ('pr_person', 'F')")
    exchange(here, there)
    assert there.eden.fetch("SELECT count(*), count(DISTINCT uuid) FROM pr_pentity") == [(2, 2)]
    there.eden.execute("UPDATE pr_pentity SET pe_label = 'x'")
    exchange(here, there)
    assert here.eden.fetch("SELECT count(*) FROM pr_pentity WHERE pe_label = 'x'") == [(2,)]
    assert_in_step(here, there)

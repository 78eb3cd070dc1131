"""Triggers, policies and heirs of the application: what they do to rows that arrive is seen, or said."""

import json

import pytest

from changecapture.apply import retry
from changecapture.reconcile import reconcile
from tests.support.accounts import new_account
from tests.support.applications import create_camps
from tests.support.commands import run_command
from tests.support.databases import run_script
from tests.support.sites import assert_in_step, exchange

TABLE = "CREATE TABLE tent (uuid varchar(40) PRIMARY KEY, name varchar(40), n int)"
SKIP = (
    "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
    "IF NEW.name = 'no' THEN RETURN NULL; END IF; RETURN NEW; END$$; "
    "CREATE TRIGGER skips BEFORE INSERT OR UPDATE ON tent FOR EACH ROW EXECUTE FUNCTION skip()"
)
DENY = (
    "CREATE FUNCTION deny() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
    "IF NEW.name = 'no' THEN RAISE 'not you' USING ERRCODE = 'insufficient_privilege'; END IF; "
    "RETURN NEW; END$$; "
    "CREATE TRIGGER denies BEFORE INSERT ON tent FOR EACH ROW EXECUTE FUNCTION deny()"
)
KEEP = (
    "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN "
    "IF OLD.name = 'kept' THEN RETURN NULL; END IF; RETURN OLD; END$$; "
    "CREATE TRIGGER keeps BEFORE DELETE ON tent FOR EACH ROW EXECUTE FUNCTION keep()"
)
COUNTED = (
    "CREATE TABLE tents (uuid varchar(40) PRIMARY KEY, number int); "
    "CREATE TABLE name (uuid varchar(40) PRIMARY KEY, name varchar(40))"
)
ASKING = "WHEN (current_setting('changecapture.applying', true) IS DISTINCT FROM 'on')"
COUNTS = {
    "postgresql": [
        "CREATE FUNCTION counting() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN IF TG_OP = 'INSERT' THEN "
        "INSERT INTO name VALUES (NEW.uuid, NEW.name); UPDATE tents SET number = number + 1; ELSE "
        "UPDATE tents SET number = number - 1; END IF; RETURN NULL; END$$",
        "CREATE TRIGGER counts AFTER INSERT OR DELETE ON tent FOR EACH ROW "
        f"{ASKING} EXECUTE FUNCTION counting()",
    ],
    "mariadb": [
        "CREATE TRIGGER counts AFTER INSERT ON tent FOR EACH ROW "
        "IF NOT IFNULL(@changecapture_applying, 0) THEN UPDATE tents SET number = number + 1; END IF",
        "CREATE TRIGGER copies AFTER INSERT ON tent FOR EACH ROW "
        "IF NOT IFNULL(@changecapture_applying, 0) THEN INSERT INTO name VALUES (NEW.uuid, NEW.name); END IF",
        "CREATE TRIGGER counts_down AFTER DELETE ON tent FOR EACH ROW "
        "IF NOT IFNULL(@changecapture_applying, 0) THEN UPDATE tents SET number = number - 1; END IF",
    ],
}
OWN_TRIGGER = {
    "postgresql": (
        "CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$; "
        "CREATE TRIGGER audited BEFORE UPDATE ON camp FOR EACH ROW EXECUTE FUNCTION audited()"
    ),
    "mysql": "CREATE TRIGGER audited BEFORE UPDATE ON camp FOR EACH ROW SET NEW.name = NEW.name",
}
PARTITIONS = {
    "postgresql": (
        "RANGE (uuid); CREATE TABLE tent_m PARTITION OF tent FOR VALUES FROM (MINVALUE) TO ('m'); "
        "CREATE TABLE tent_z PARTITION OF tent FOR VALUES FROM ('m') TO (MAXVALUE)"
    ),
    "mariadb": (
        "RANGE COLUMNS (uuid) (PARTITION tent_m VALUES LESS THAN ('m'), "
        "PARTITION tent_z VALUES LESS THAN (MAXVALUE))"
    ),
}
TRUNCATE_PARTITION = {
    "postgresql": "TRUNCATE tent_z",
    "mariadb": "ALTER TABLE tent TRUNCATE PARTITION tent_z",
}


@pytest.fixture
def sites(new_tables):
    return new_tables("postgresql", TABLE), new_tables("postgresql", TABLE)


def test_row_that_a_trigger_leaves_out_is_parked(sites):
    here, there = sites
    there.run(SKIP)
    here.run("INSERT INTO tent VALUES ('a', 'yes', 1), ('b', 'no', 2), ('c', 'yes', 3)")
    exchange(here, there)
    assert there.fetch("SELECT uuid FROM tent ORDER BY uuid") == [("a",), ("c",)]
    assert list(there.parked()) == [("tent", "b")]


def test_change_that_a_trigger_leaves_out_is_parked_and_shown_when_it_may_be(sites):
    here, there = sites
    there.run(SKIP)
    here.run("INSERT INTO tent VALUES ('a', 'yes', 1)")
    exchange(here, there)
    here.run("UPDATE tent SET name = 'no'")
    exchange(here, there)
    assert list(there.parked()) == [("tent", "a")]
    there.run("DROP TRIGGER skips ON tent")
    here.run("UPDATE tent SET n = 2")
    exchange(here, there)
    assert there.parked() == {}
    assert there.fetch("SELECT name, n FROM tent") == [("no", 2)]


@pytest.fixture
def tent(postgres, new_database):
    """The URL of a database with one row, installed."""
    url = new_database(postgres)
    run_script(url, f"{TABLE}; INSERT INTO tent VALUES ('a', 'x', 1)")
    assert run_command("install", url, "--profile", "generic").status == 0
    return url


def find(url, check, *options):
    """Return (state, what, mend) of what doctor says under that name."""
    found = json.loads(run_command("doctor", url, "--json", *options).out)
    ((state, what, mend),) = [(f["state"], f["what"], f["mend"]) for f in found if f["check"] == check]
    return state, what, mend


def test_deletion_that_a_trigger_leaves_out_is_parked_and_shown_when_it_may_be(sites):
    here, there = sites
    there.run(KEEP)
    here.run("INSERT INTO tent VALUES ('a', 'x', 1), ('b', 'kept', 2)")
    exchange(here, there)
    here.run("DELETE FROM tent")
    exchange(here, there)
    assert list(there.parked()) == [("tent", "b")]
    assert there.fetch("SELECT uuid FROM tent") == [("b",)]
    there.run("DROP TRIGGER keeps ON tent")
    assert retry(there.store) == 0
    assert_in_step(here, there)


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_trigger_that_asks_who_writes_keeps_counts_and_copies_the_same(new_tables, kind):
    """As docs/any-application.md has it. The copy is written first: its trigger would refuse the tent."""
    here, there = (new_tables(kind, f"{TABLE}; {COUNTED}") for _ in range(2))
    for site in (here, there):
        for trigger in COUNTS[kind]:
            site.run(trigger)
    here.family("INSERT INTO tents VALUES ('all', 0)")
    exchange(here, there)
    here.family("INSERT INTO tent VALUES ('a', 'x', 1), ('b', 'y', 2)")
    exchange(here, there)
    there.family("DELETE FROM tent WHERE uuid = 'a'")
    exchange(here, there)
    assert here.family.rows("SELECT number FROM tents") == [(1,)]
    assert here.family.rows("SELECT uuid FROM name ORDER BY uuid") == [("a",), ("b",)]
    assert_in_step(here, there)


def test_trigger_that_fails_for_one_row_stops_no_other(sites):
    here, there = sites
    there.run(DENY)
    here.run("INSERT INTO tent VALUES ('a', 'yes', 1), ('b', 'no', 2), ('c', 'yes', 3)")
    exchange(here, there)
    assert there.fetch("SELECT uuid FROM tent ORDER BY uuid") == [("a",), ("c",)]
    assert there.parked() == {("tent", "b"): "value"}


def test_rows_that_a_policy_hides_are_never_taken_for_gone(tent):
    run_script(tent, "ALTER TABLE tent ENABLE ROW LEVEL SECURITY; CREATE POLICY few ON tent USING (n > 1)")
    with new_account(tent) as (relay, account):
        run_script(tent, "; ".join(find(tent, "relay's rights", "--role", account)[2]))
        state, what, mend = find(tent, "row security", "--role", account)
        assert (state, what) == ("mend", f'row security may hide rows of tent from "{account}"')
        refused = run_command("reconcile", relay)
        assert refused.status == 2
        assert "rows are hidden by a row security policy" in refused.err
        assert f"({mend[0]})" in refused.err
        run_script(tent, mend[0])
        assert run_command("reconcile", relay).status == 0
        assert find(tent, "row security", "--role", account)[0] == "well"
    assert "1 entr" in run_command("status", tent).out


def test_doctor_notes_the_triggers_of_the_application(server, new_database):
    url = create_camps(new_database(server))
    assert run_command("install", url, "--profile", "generic").status == 0
    assert find(url, "own triggers")[0] == "well"
    run_script(url, OWN_TRIGGER[server.dialect])
    assert find(url, "own triggers")[:2] == ("note", "triggers of the application: camp.audited")


def test_doctor_notes_partitioned_tables(postgres, new_database):
    url = new_database(postgres)
    run_script(url, f"{TABLE} PARTITION BY HASH (uuid)")
    assert run_command("install", url, "--profile", "generic").status == 0
    assert find(url, "partitions")[:2] == ("note", "tent partitioned")


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_truncated_partition_is_found_by_reconciliation(new_tables, kind):
    table = f"{TABLE} PARTITION BY "
    site = new_tables(kind, table + PARTITIONS[kind])
    site.run("INSERT INTO tent VALUES ('a', 'x', 1), ('n', 'y', 2)")
    site.publish()
    site.run(TRUNCATE_PARTITION[kind])
    (found,) = reconcile(site.store)
    assert (found.table, found.vanished, found.appeared) == ("tent", 1, 0)
    assert site.entries("tent", "n")[-1] == {"@alive": False}


def test_table_that_others_inherit_is_not_synced(postgres, new_database):
    url = new_database(postgres)
    run_script(url, f"{TABLE}; CREATE TABLE hut (doors int, PRIMARY KEY (uuid)) INHERITS (tent)")
    plan = json.loads(run_command("plan", url, "--profile", "generic", "--json").out)
    assert "other tables inherit it" in json.dumps(plan)
    assert "1 table synced" in run_command("install", url, "--profile", "generic").out

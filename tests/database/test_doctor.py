"""Doctor names what is the matter, and what it prints mends it."""

import json

import pytest

from tests.support.accounts import new_account
from tests.support.applications import add_camps, create_camps
from tests.support.commands import run_command
from tests.support.databases import fetch, name_of, run_script


@pytest.fixture
def bare(server, new_database):
    """A small application in which nothing is installed."""
    return create_camps(new_database(server))


@pytest.fixture
def camps(bare):
    """The same, installed."""
    assert run_command("install", bare, "--profile", "generic").status == 0
    return bare


@pytest.fixture
def prefix(server):
    return "changecapture." if server.dialect == "postgresql" else "changecapture_"


def examine(url, *options, state="mend"):
    """Return {check: what} of the findings in a state, and the statements that mend them, in order."""
    shown = run_command("doctor", url, "--json", *options)
    assert shown.err == ""
    found = json.loads(shown.out)
    assert shown.status == int(any(finding["state"] == "mend" for finding in found))
    chosen = [finding for finding in found if finding["state"] == state]
    assert all(finding["what"] and finding["why"] for finding in chosen)
    return {f["check"]: f["what"] for f in chosen}, [line for f in chosen for line in f["mend"]]


def mend(url, lines, program=run_command):
    """Do what doctor printed: statements as an administrator, and ``changecapture install``."""
    for line in lines:
        if line == "$ changecapture install URL":
            assert program("install", url).status == 0
        elif not line.startswith("$"):
            run_script(url, line)


def test_healthy_site_is_well(camps):
    shown = run_command("doctor", camps)
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.splitlines()[-1] == "all well"
    assert "mend" not in shown.out
    found = json.loads(run_command("doctor", camps, "--json").out)
    assert {finding["state"] for finding in found} == {"well", "note"}
    assert {"installation", "installing", "drift", "definer", "missed", "captured", "clock", "disk"} <= {
        finding["check"] for finding in found
    }


def test_nothing_is_changed_by_looking(camps, bare, prefix):
    add_camps(camps, 2)
    before = fetch(camps, f"SELECT * FROM {prefix}captured")
    run_command("doctor", camps)
    assert fetch(camps, f"SELECT * FROM {prefix}captured") == before


def test_database_without_an_installation_is_told_to_install(bare):
    found, lines = examine(bare, "--profile", "generic")
    assert found == {"installation": "nothing is installed"}
    assert lines == ["$ changecapture install URL"]


def test_database_that_no_profile_recognises_is_told_to_choose_one(bare):
    found, _ = examine(bare)
    assert set(found) == {"installation"}
    assert "installing" in examine(bare, state="unseen")[0]
    assert "no profile recognises" in run_command("doctor", bare).out


def test_account_that_cannot_install_is_told_every_right_that_it_lacks(bare, server):
    rights = ["SELECT, REFERENCES ON TABLE camp", "SELECT, REFERENCES ON TABLE tent"]
    if server.dialect == "mysql":
        rights = [f"SELECT, REFERENCES ON `{name_of(bare)}`.*"]
    with new_account(bare, *rights) as (theirs, account):
        found, lines = examine(theirs, "--profile", "generic")
        assert set(found) == {"installation", "installing"}
        text = " ".join(lines)
        if server.dialect == "postgresql":
            assert "GRANT CREATE ON DATABASE" in text
            assert f"GRANT admin TO {account}" in text
        else:
            assert "GRANT INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, TRIGGER, CREATE VIEW" in text
            assert "--definer current" in text


def test_column_that_the_application_added_is_drift_until_install_is_run(camps):
    run_script(camps, "ALTER TABLE camp ADD COLUMN water integer")
    found, lines = examine(camps)
    assert found["drift"].startswith("camp not as installed (")
    mend(camps, lines)
    assert examine(camps) == ({}, [])


def test_trigger_that_is_gone_is_drift_until_install_is_run(camps, server):
    if server.dialect == "postgresql":
        query = "SELECT tgname FROM pg_trigger WHERE tgrelid = 'camp'::regclass AND NOT tgisinternal"
        run_script(camps, f'DROP TRIGGER "{fetch(camps, query)[0][0]}" ON camp')
    else:
        query = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
        run_script(camps, f"DROP TRIGGER `{fetch(camps, query)[0][0]}`")
    found, lines = examine(camps)
    assert "(1 triggers to create, 0 to drop)" in found["drift"]
    mend(camps, lines)
    assert examine(camps) == ({}, [])


def test_installation_that_was_not_finished_is_named(camps, prefix):
    run_script(camps, f"UPDATE {prefix}synced_table SET backfilled = 0")
    found, lines = examine(camps)
    assert found == {"installation": "the installation was not finished"}
    mend(camps, lines)
    assert examine(camps) == ({}, [])


def test_installation_of_another_version_is_named(camps, server, prefix):
    table = f"{prefix}{'changecapture_version' if server.dialect == 'postgresql' else 'version'}"
    run_script(camps, f"UPDATE {table} SET version_num = '0000'")
    assert "installed is revision 0000" in examine(camps)[0]["installation"]


def test_changes_that_were_missed_are_named_by_table(camps, prefix):
    run_script(
        camps,
        f"INSERT INTO {prefix}missed (table_name, operation, reason, missed_at) "
        "VALUES ('camp', 'I', 'the disk was full', 7)",
    )
    found, lines = examine(camps)
    assert found == {"missed": "changes of camp were missed, 1 times at least: the disk was full"}
    assert lines == ["$ changecapture install URL", "$ changecapture reconcile URL"]


def test_changes_that_nobody_takes_are_named_when_they_are_old(camps, prefix):
    add_camps(camps, 3)
    assert examine(camps) == ({}, [])
    run_script(camps, f"UPDATE {prefix}captured SET captured_at = captured_at - 1200000000")
    found, lines = examine(camps)
    assert found == {"captured": "3 captured changes wait, the oldest since 20 minutes"}
    assert lines == ["$ changecapture-relay run --config relay.toml"]


def test_what_waits_for_a_person_is_noted(camps, prefix):
    run_script(camps, f"INSERT INTO {prefix}parked VALUES ('camp', 'a', 'unique', 'd', 7)")
    assert examine(camps) == ({}, [])
    found, lines = examine(camps, state="note")
    assert found["parked"] == "rows are parked: unique 1"
    assert "$ changecapture parked list URL" in lines


def test_disabled_trigger_is_named_with_the_statement_that_enables_it(postgres, new_database):
    url = create_camps(new_database(postgres))
    run_command("install", url, "--profile", "generic")
    run_script(url, "ALTER TABLE camp DISABLE TRIGGER USER")
    assert "camp is disabled" in examine(url)[0]["triggers"]
    mend(url, examine(url)[1])
    assert examine(url) == ({}, [])
    add_camps(url, 1)
    assert fetch(url, "SELECT count(*) FROM changecapture.captured") == [(1,)]


def test_role_for_which_triggers_do_not_fire_is_named(postgres, new_database):
    url = create_camps(new_database(postgres))
    run_command("install", url, "--profile", "generic")
    with new_account(url) as (_, account):
        run_script(url, f"ALTER ROLE {account} SET session_replication_role = replica")
        found, lines = examine(url)
        assert f"replica for {account} in all databases" in found["replication role"]
        mend(url, lines)
        assert examine(url) == ({}, [])
        run_script(url, f"ALTER DATABASE {name_of(url)} SET session_replication_role = replica")
        found, lines = examine(url)
        mend(url, lines[:1])
        assert examine(url) == ({}, [])


def test_owner_of_the_trigger_functions_who_may_not_write_is_named(postgres, new_database):
    url = create_camps(new_database(postgres))
    run_command("install", url, "--profile", "generic")
    with new_account(url) as (_, account):
        functions = (
            "SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'changecapture'::regnamespace "
            "AND proname LIKE 'capture%'"
        )
        for (function,) in fetch(url, functions):
            run_script(url, f"ALTER FUNCTION {function} OWNER TO {account}")
        add_camps(url, 1)
        found, lines = examine(url)
        assert found["definer"].startswith(f"{account}, who owns the trigger functions")
        mend(url, lines)
        add_camps(url, 1, "again")
        assert fetch(url, "SELECT count(*) FROM changecapture.captured") == [(1,)]
        assert "definer" not in examine(url)[0]
        run_script(url, f"REASSIGN OWNED BY {account} TO admin")


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("statement_timeout = '5s'", None),
        ("default_transaction_read_only = on", "default_transaction_read_only is on for"),
        ("search_path = other, public", "search_path is other, public for"),
    ],
)
def test_setting_with_which_the_relay_s_role_cannot_work_is_named(postgres, new_database, setting, named):
    url = create_camps(new_database(postgres))
    run_command("install", url, "--profile", "generic")
    with new_account(url) as (_, account):
        mend(url, examine(url, "--role", account)[1])
        run_script(url, f"ALTER ROLE {account} SET {setting}")
        found, lines = examine(url, "--role", account)
        assert found.get("relay's settings", "").startswith(named or "")
        assert bool(found) == bool(named)
        mend(url, lines)
        assert examine(url, "--role", account) == ({}, [])


def test_relay_that_looks_into_another_schema_is_told_in_its_own_account_too(postgres, new_database):
    url = create_camps(new_database(postgres))
    run_command("install", url, "--profile", "generic")
    with new_account(url) as (theirs, account):
        mend(url, examine(url, "--role", account)[1])
        run_script(url, f"CREATE SCHEMA other; GRANT USAGE ON SCHEMA other TO {account}")
        run_script(url, f"ALTER ROLE {account} SET search_path = other")
        run_script(url, f"ALTER ROLE {account} SET default_transaction_read_only = on")
        found = [
            line for line in run_command("doctor", theirs).out.splitlines() if "relay's settings" in line
        ]
        assert any("search_path is other" in line for line in found)
        assert any("default_transaction_read_only is on" in line for line in found)


def test_schema_of_ours_that_everybody_may_enter_is_named(postgres, new_database):
    url = create_camps(new_database(postgres))
    run_command("install", url, "--profile", "generic")
    run_script(url, "GRANT USAGE ON SCHEMA changecapture TO PUBLIC")
    found, lines = examine(url)
    assert found == {"our schema": "everybody may enter the schema changecapture"}
    mend(url, lines)
    assert examine(url) == ({}, [])


def test_database_that_cannot_hold_every_text_is_named(postgres, new_database):
    name = f"{name_of(new_database(postgres))}_latin"
    run_script(
        postgres.url("postgres"), f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'"
    )
    try:
        run_script(postgres.url("postgres"), f"ALTER DATABASE {name} SET deadlock_timeout = '100ms'")
        create_camps(postgres.url(name))
        shown = run_command("doctor", postgres.url(name), "--profile", "generic").out
        assert f"the database {name} has the encoding LATIN1" in shown
        refused = run_command("install", postgres.url(name), "--profile", "generic")
        assert refused.status == 2 and f"the database {name} has the encoding LATIN1" in refused.err
        assert "deadlock_timeout is 100 ms" in shown
    finally:
        postgres.drop_database(name)

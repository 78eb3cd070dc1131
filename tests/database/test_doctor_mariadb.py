"""What doctor names on MariaDB only: definer, TRUNCATE, engines, the server's settings."""

import json
import os
from itertools import count

import pymysql
import pytest

from tests.support.accounts import new_account
from tests.support.applications import add_camps, create_camps
from tests.support.commands import run_command
from tests.support.databases import connect_mysql, fetch, name_of, run_script
from tests.support.servers import MariaDBServer

_numbers = count(1)


@pytest.fixture(scope="module")
def server(scratch):
    """A server of its own: our account, which all databases share, and settings are changed."""
    options = {"log-bin": "log", "binlog-format": "MIXED"}
    with MariaDBServer(scratch / "doctor", options=options) as made:
        yield made


@pytest.fixture
def bare(server):
    """A small application in which nothing is installed."""
    name = f"cc_{os.getpid()}_doctor_{next(_numbers)}"
    yield create_camps(server.create_database(name))
    server.drop_database(name)


@pytest.fixture
def camps(bare):
    """The same, installed."""
    assert run_command("install", bare, "--profile", "generic").status == 0
    yield bare
    run_script(bare, "DROP USER IF EXISTS 'changecapture'@'localhost'")


def examine(url, *options, state="mend"):
    """Return {check: what} of the findings in a state, and what mends them."""
    found = json.loads(run_command("doctor", url, "--json", *options).out)
    chosen = [finding for finding in found if finding["state"] == state]
    return {f["check"]: f["what"] for f in chosen}, [line for f in chosen for line in f["mend"]]


def mend(url, lines):
    """Run the statements that doctor printed."""
    for line in lines:
        if not line.startswith("$"):
            run_script(url, line)


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        ("DROP USER 'changecapture'@'localhost'", "an account that does not exist"),
        ("REVOKE SELECT ON `{}`.* FROM 'changecapture'@'localhost'", "lacks rights"),
        ("ALTER USER 'changecapture'@'localhost' ACCOUNT UNLOCK", "is not locked"),
    ],
)
def test_account_of_the_triggers_is_made_whole_by_what_doctor_prints(camps, harm, named):
    run_script(camps, harm.format(name_of(camps).replace("_", "\\_")))
    found, lines = examine(camps)
    assert named in found["definer"]
    mend(camps, lines)
    assert examine(camps) == ({}, [])
    add_camps(camps, 1)
    assert fetch(camps, "SELECT count(*) FROM changecapture_captured") == [(1,)]


def test_definer_of_choice_that_is_gone_is_named_with_the_way_back(bare):
    with new_account(bare, f"ALL ON `{name_of(bare)}`.*", "SUPER ON *.*") as (theirs, account):
        done = run_command("install", theirs, "--profile", "generic", "--definer", "current")
        assert done.status == 0
        run_script(bare, f"DROP USER {account}")
    with pytest.raises(pymysql.OperationalError):
        add_camps(bare, 1)
    found, lines = examine(bare)
    assert found == {"definer": f"triggers run as {account}, an account that does not exist"}
    assert lines == ["$ changecapture install URL --definer account"]
    assert run_command("install", bare, "--definer", "account").status == 0
    assert examine(bare) == ({}, [])
    add_camps(bare, 1)
    run_script(bare, "DROP USER 'changecapture'@'localhost'")


@pytest.mark.parametrize("place", ["`{pattern}`.*", "`{name}`.`tent`", "`{pattern}%`.*"])
def test_who_may_truncate_is_named_with_the_statement_that_takes_it_away(camps, place):
    name = name_of(camps)
    where = place.format(pattern=name.replace("_", "\\_"), name=name)
    with new_account(camps, f"ALL ON {where}") as (theirs, account):
        found, lines = examine(camps)
        assert found == {"truncate": f"{account} may TRUNCATE tables by its right DROP on {where}"}
        mend(camps, lines)
        assert examine(camps) == ({}, [])
        with connect_mysql(theirs) as connection, connection.cursor() as cursor:
            assert cursor.execute("INSERT INTO tent (uuid, beds) VALUES ('a', 4)") == 1
            with pytest.raises(pymysql.MySQLError, match="DROP command denied"):
                cursor.execute("TRUNCATE tent")


def test_administrators_who_may_truncate_are_noted(camps):
    assert "'admin'@'%'" in examine(camps, state="note")[0]["truncate"]


def test_table_without_transactions_is_named(camps):
    run_script(camps, "ALTER TABLE visit ENGINE = MyISAM")
    assert examine(camps) == ({}, [])
    run_script(camps, "ALTER TABLE tent DROP FOREIGN KEY tent_ibfk_1; ALTER TABLE tent ENGINE = MyISAM")
    run_command("install", camps)
    found, lines = examine(camps)
    assert found == {"engine": "tent not kept by InnoDB"}
    mend(camps, lines)
    assert examine(camps) == ({}, [])


def test_table_of_ours_in_another_row_format_or_engine_is_named(camps):
    run_script(camps, "ALTER TABLE changecapture_site ROW_FORMAT = COMPACT")
    run_script(camps, "ALTER TABLE changecapture_vector ENGINE = Aria")
    _, lines = examine(camps)
    assert len(lines) == 2
    mend(camps, lines)
    assert examine(camps) == ({}, [])


def test_table_that_cannot_hold_every_character_is_noted(camps):
    run_script(camps, "ALTER TABLE visit CONVERT TO CHARACTER SET latin1")
    assert "characters" not in examine(camps, state="note")[0]
    run_script(camps, "ALTER TABLE tent DROP FOREIGN KEY tent_ibfk_1")
    run_script(camps, "ALTER TABLE tent CONVERT TO CHARACTER SET latin1")
    found, lines = examine(camps, state="note")
    assert found["characters"] == "tent of the character set latin1"
    mend(camps, [line for line in lines if line.startswith("ALTER")])
    assert "characters" not in examine(camps, state="note")[0]


def test_account_that_sees_little_is_told_what_was_not_looked_at(camps):
    rights = f"SELECT, INSERT, UPDATE, DELETE, REFERENCES ON `{name_of(camps)}`.*"
    with new_account(camps, rights) as (theirs, _):
        shown = run_command("doctor", theirs)
        assert (shown.status, shown.err) == (0, ""), shown.out
        assert "all well" not in shown.out and "checks could not look" in shown.out
        found, _ = examine(theirs, state="unseen")
        assert {"definer", "truncate"} <= set(found)
        assert all("not looked at" in found[check] for check in ("definer", "truncate"))


def test_account_sees_what_it_lacks_itself_and_nothing_of_another(camps):
    """Nobody but an administrator sees the accounts; its own rights each may ask for."""
    with new_account(camps, f"SELECT ON `{name_of(camps)}`.*") as (theirs, account):
        name, _, host = account.replace("'", "").partition("@")
        for called in (name, f"{name}@{host}"):
            found, lines = examine(theirs, "--role", called)
            assert "lacks" in found["relay's rights"] and any(account in line for line in lines)
        found, _ = examine(theirs, "--role", f"{name}@elsewhere", state="unseen")
        assert found["relay's rights"] == f"the rights of {name}@elsewhere: not looked at"


def test_note_shows_three_statements_and_all_on_demand(camps):
    for number in range(5):
        run_script(camps, f"CREATE TABLE t{number} (uuid varchar(36) PRIMARY KEY) CHARACTER SET latin1")
    run_command("install", camps)
    shown = {options: run_command("doctor", camps, *options).out for options in ((), ("--all",))}
    assert [text.count("CONVERT TO CHARACTER SET") for text in shown.values()] == [3, 5]
    assert ".. and 2 more: --all prints them" in shown[()]


@pytest.fixture
def globals_(server):
    """Sets global variables; what they were comes back."""
    kept = {}

    def change(name, value):
        if name not in kept:
            ((kept[name],),) = fetch(server.url(""), f"SELECT @@GLOBAL.{name}")
        run_script(server.url(""), f"SET GLOBAL {name} = {value!r}")

    yield change
    for name, value in kept.items():
        run_script(server.url(""), f"SET GLOBAL {name} = {value!r}")


@pytest.mark.parametrize(
    ("name", "value", "check", "state", "named"),
    [
        ("binlog_format", "STATEMENT", "binary log", "mend", "takes statements only"),
        ("read_only", 1, "server", "mend", "the server is read only"),
        ("max_allowed_packet", 1 << 20, "server", "note", "max_allowed_packet is 1 MB"),
        ("sql_mode", "", "server", "note", "sql_mode is not strict"),
    ],
)
def test_setting_of_the_server_is_named_with_the_statement_that_mends_it(
    camps, globals_, name, value, check, state, named
):
    globals_(name, value)
    found, lines = examine(camps, state=state)
    assert named in found[check]
    mend(camps, [line.partition("run: ")[2].partition(" (")[0] or line for line in lines])
    assert check not in examine(camps, state=state)[0]


def test_log_of_statements_refuses_an_installation_before_anything_is_changed(bare, globals_):
    globals_("binlog_format", "STATEMENT")
    refused = run_command("install", bare, "--profile", "generic")
    assert refused.status == 2
    assert "SET GLOBAL binlog_format = 'MIXED'" in refused.err
    assert fetch(bare, "SHOW TABLES LIKE 'changecapture%'") == []


def test_log_that_distrusts_is_noted_for_an_account_that_cannot_install(camps):
    with new_account(camps, f"ALL ON `{name_of(camps)}`.*") as (theirs, _):
        assert "may not make triggers" in examine(theirs, state="note")[0]["binary log"]
    assert "binary log" not in examine(camps, state="note")[0]


def test_lock_mode_in_which_writers_wait_for_each_other_is_named(scratch):
    with MariaDBServer(scratch / "traditional", options={"innodb-autoinc-lock-mode": "0"}) as old:
        url = create_camps(old.create_database("camp"))
        assert examine(url, "--profile", "generic")[0]["server"] == "innodb_autoinc_lock_mode is 0"

"""The account that MariaDB's triggers run as: locked, with few rights, and independent of who installed."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import pymysql
import pytest

from changecapture.account import LOCK
from tests.support.commands import run_command
from tests.support.databases import connect_mysql, fetch, name_of, run_script
from tests.support.dumps import run_script_file
from tests.support.family import Family
from tests.support.patience import Patience
from tests.support.servers import MariaDBServer

TABLES = """
CREATE TABLE person (uuid varchar(64) NOT NULL PRIMARY KEY, name varchar(60)) ENGINE=InnoDB;
CREATE TABLE contact (
    uuid varchar(64) NOT NULL PRIMARY KEY, person varchar(64),
    FOREIGN KEY (person) REFERENCES person (uuid) ON DELETE CASCADE
) ENGINE=InnoDB;
INSERT INTO person VALUES ('a', 'Anna');
INSERT INTO contact VALUES ('a1', 'a')
"""
ACCOUNT = "changecapture@localhost"

_numbers = count(1)


@pytest.fixture(scope="module")
def server(scratch):
    """A server of its own: what all databases of a server share is looked at."""
    with MariaDBServer(scratch / "accounts") as made:
        yield made


@pytest.fixture
def make(server):
    """Makes databases of a small application; with them goes our account."""
    made = []

    def create():
        made.append(f"cc_{os.getpid()}_account_{next(_numbers)}")
        url = server.create_database(made[-1])
        run_script(url, TABLES)
        return url

    yield create
    for name in made:
        server.drop_database(name)
    run_script(server.url(""), "DROP USER IF EXISTS 'changecapture'@'localhost'")


@pytest.fixture
def user(server):
    """Makes accounts of people; a grant is given as GRANT's text, {} stands for the account."""
    made = []

    def create(url, *grants):
        made.append(f"'person_{next(_numbers)}'@'%'")
        name = made[-1].strip("'").partition("'")[0]
        run_script(url, f"CREATE USER {made[-1]} IDENTIFIED BY 'pass'")
        for grant in grants:
            run_script(url, grant.replace("{}", made[-1]))
        parts = urlsplit(url)
        return urlunsplit(parts._replace(netloc=f"{name}:pass@{parts.hostname}:{parts.port}")), made[-1]

    yield create
    for account in made:
        run_script(server.url(""), f"DROP USER IF EXISTS {account}")


def install(url, *options):
    return run_command("install", url, "--profile", "generic", *options)


def definers(url):
    """Return whose rights our triggers, procedures and views have."""
    queries = (
        "SELECT definer FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
        "SELECT definer FROM information_schema.routines WHERE routine_schema = DATABASE()",
        "SELECT definer FROM information_schema.views "
        "WHERE table_schema = DATABASE() AND security_type = 'DEFINER'",
    )
    found = [fetch(url, query) for query in queries]
    assert all(found)
    return {definer for rows in found for (definer,) in rows}


def write(url):
    """Write as the application; return how many changes were captured."""
    application = Family(url)
    application("INSERT INTO person VALUES ('b', 'Ben')")
    application("UPDATE person SET name = 'Anne' WHERE uuid = 'a'")
    application("DELETE FROM person WHERE uuid = 'a'")
    application.close()
    assert fetch(url, "SELECT count(*) FROM changecapture_person_history") == [(2,)]
    return fetch(url, "SELECT count(*) FROM changecapture_captured")[0][0]


def test_all_that_is_installed_runs_as_an_account_that_nobody_can_log_in_as(make):
    url = make()
    assert install(url).status == 0
    assert definers(url) == {ACCOUNT}
    ((text,),) = fetch(url, "SHOW CREATE USER 'changecapture'@'localhost'")
    assert text.endswith("ACCOUNT LOCK")
    assert write(url) == 4


def test_account_has_no_more_rights_than_it_needs(make):
    url = make()
    install(url)
    name = name_of(url)
    escaped = name.replace("_", "\\_")
    grants = {
        text.partition(" TO ")[0] for (text,) in fetch(url, "SHOW GRANTS FOR 'changecapture'@'localhost'")
    }
    assert grants == {
        "GRANT USAGE ON *.*",
        f"GRANT SELECT, LOCK TABLES, EXECUTE, TRIGGER ON `{escaped}`.*",
        f"GRANT INSERT ON `{name}`.`changecapture_captured`",
        f"GRANT INSERT ON `{name}`.`changecapture_missed`",
    }


@pytest.mark.parametrize("end", ["DROP USER {}", "ALTER USER {} ACCOUNT LOCK"])
def test_writes_go_on_when_the_account_that_installed_is_gone(make, user, end):
    url = make()
    theirs, name = user(url, "GRANT ALL ON *.* TO {} WITH GRANT OPTION")
    assert install(theirs).status == 0
    run_script(url, end.replace("{}", name))
    assert write(url) == 4


def test_account_that_was_dropped_is_made_again(make):
    url = make()
    install(url)
    run_script(url, "DROP USER 'changecapture'@'localhost'")
    with pytest.raises(pymysql.OperationalError) as refused:
        Family(url)("DELETE FROM person")
    assert refused.value.args[0] == 1449
    assert run_command("install", url).status == 0
    assert write(url) == 4


def test_right_that_was_taken_away_is_given_back(make):
    url = make()
    install(url)
    run_script(url, "REVOKE INSERT ON changecapture_captured FROM 'changecapture'@'localhost'")
    assert run_command("install", url).status == 0
    assert write(url) == 4


def test_definer_of_choice_is_remembered_and_can_be_changed(make, user):
    url = make()
    theirs, name = user(url, f"GRANT ALL ON `{name_of(url)}`.* TO {{}}")
    assert install(theirs, "--definer", "current").status == 0
    assert definers(url) == {name.replace("'", "")}
    assert run_command("install", theirs).out.splitlines()[1] == "0 triggers created, 0 dropped"
    assert fetch(url, "SELECT user FROM mysql.user WHERE user = 'changecapture'") == []
    assert run_command("install", url, "--definer", "account").status == 0
    assert definers(url) == {ACCOUNT}
    assert run_command("install", url).out.splitlines()[1] == "0 triggers created, 0 dropped"
    assert write(url) == 4


def test_current_definer_that_is_dropped_stops_the_application(make, user):
    """What --definer current risks, and why it is not what is done unasked."""
    url = make()
    theirs, name = user(url, f"GRANT ALL ON `{name_of(url)}`.* TO {{}}")
    install(theirs, "--definer", "current")
    run_script(url, f"DROP USER {name}")
    with pytest.raises(pymysql.OperationalError) as refused:
        Family(url)("DELETE FROM person")
    assert refused.value.args[0] == 1449


def test_user_who_may_not_make_the_account_is_told_what_an_administrator_must_run(make, user):
    url = make()
    theirs, name = user(url, f"GRANT ALL ON `{name_of(url)}`.* TO {{}}", "GRANT SET USER ON *.* TO {}")
    refused = install(theirs)
    assert refused.status == 2
    assert fetch(url, "SHOW TABLES LIKE 'changecapture%'") == []
    mend = refused.err.partition("have an administrator run: ")[2].strip().removesuffix(")")
    for statement in mend.split("; "):
        run_script(url, statement.replace("CURRENT_USER", name))
    assert install(theirs).status == 0
    assert definers(url) == {ACCOUNT}
    assert write(url) == 4


def test_script_that_an_administrator_runs_needs_no_right_of_the_user(make, user):
    url = make()
    theirs, _ = user(url, f"GRANT ALL ON `{name_of(url)}`.* TO {{}}")
    script = run_command("install", theirs, "--sql", "--profile", "generic")
    assert script.status == 0
    assert "ACCOUNT LOCK" in script.out
    run_script_file(url, script.out)
    assert definers(url) == {ACCOUNT}
    done = install(theirs)
    assert (done.status, done.out.splitlines()[-1]) == (0, "2 rows captured from before the installation")
    assert write(url) == 4


def test_account_goes_with_the_last_database_that_uses_it(make):
    first, second = make(), make()
    install(first)
    install(second)
    assert run_command("uninstall", first, "--yes").status == 0
    grants = fetch(second, "SHOW GRANTS FOR 'changecapture'@'localhost'")
    assert not any(name_of(first).replace("_", "\\_") in text or name_of(first) in text for (text,) in grants)
    assert write(second) == 4
    assert run_command("uninstall", second, "--yes").status == 0
    assert fetch(second, "SELECT 1 FROM mysql.user WHERE user = 'changecapture'") == []


def test_account_that_another_database_is_granted_meanwhile_is_not_dropped(make):
    """An uninstall beside an installation in another database of the server."""
    first, second = make(), make()
    install(first)
    with closing(connect_mysql(second)) as other, other.cursor() as cursor, ThreadPoolExecutor(1) as threads:
        cursor.execute(f"SELECT GET_LOCK('{LOCK}', 0)")
        gone = threads.submit(run_command, "uninstall", first, "--yes")
        waiting = "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock'"
        Patience().wait(lambda: gone.done() or fetch(second, waiting) == [(1,)], "the uninstall waits")
        cursor.execute(f"GRANT SELECT ON {name_of(second)}.* TO 'changecapture'@'localhost'")
        cursor.execute(f"SELECT RELEASE_LOCK('{LOCK}')")
        assert gone.result().status == 0
    assert fetch(second, "SELECT 1 FROM mysql.user WHERE user = 'changecapture'") == [(1,)]


@pytest.fixture(scope="module")
def logging(scratch):
    """A server with a binary log that trusts no one."""
    with MariaDBServer(scratch / "logging", options={"log-bin": "log", "binlog-format": "MIXED"}) as made:
        yield made


def test_binary_log_that_forbids_triggers_is_told_with_what_mends_it(logging):
    url = logging.create_database("camp")
    run_script(url, TABLES)
    run_script(url, "CREATE USER 'dba'@'%' IDENTIFIED BY 'pass'; GRANT ALL ON camp.* TO 'dba'@'%'")
    theirs = url.replace(url.split("//")[1].split("@")[0], "dba:pass")
    refused = install(theirs, "--definer", "current")
    assert refused.status == 2
    assert "SET GLOBAL log_bin_trust_function_creators = 1" in refused.err
    assert fetch(url, "SHOW TABLES LIKE 'changecapture%'") == []
    run_script(url, "SET GLOBAL log_bin_trust_function_creators = 1")
    assert install(theirs, "--definer", "current").status == 0
    assert write(url) == 4


def test_administrator_installs_beside_a_binary_log(logging):
    url = logging.create_database("tent")
    run_script(url, TABLES)
    run_script(url, "SET GLOBAL log_bin_trust_function_creators = 0")
    assert install(url).status == 0
    assert write(url) == 4
    with connect_mysql(url) as connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM person")
        cursor.execute("SHOW WARNINGS")
        assert cursor.fetchall() == ()

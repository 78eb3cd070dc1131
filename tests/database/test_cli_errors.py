"""Bad input: one line that says what, why and what to do, status 2, nothing left half-changed."""

import os
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.support.applications import add_camps, create_camps, read_camps
from tests.support.commands import run_command
from tests.support.databases import connect_postgresql, name_of, run_script, with_name
from tests.support.dumps import dump_installation, dump_schema

PASSWORD = "camp-2"
COMMANDS = ("plan", "install", "uninstall", "status")

_numbers = count(1)


@pytest.fixture
def camps(server, new_database):
    return create_camps(new_database(server))


def assert_refused(outcome, *words):
    """The command ended with one line of ours that has these words, and printed no result."""
    assert outcome.status == 2, outcome
    assert outcome.err.startswith("changecapture: error: "), outcome
    assert outcome.err.count("\n") == 1, outcome
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err
    assert outcome.out == ""


def with_login(url, user, password):
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.hostname}:{parts.port}"))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_unreachable_server(command, scheme):
    refused = run_command(command, f"{scheme}://admin:secret@127.0.0.1:1/eden")
    assert_refused(refused, f"cannot reach {scheme}://admin@127.0.0.1:1/eden", "(is the server running?)")
    assert "secret" not in refused.err


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_password(camps, command):
    refused = run_command(command, with_login(camps, "admin", "wrong-word"))
    assert_refused(refused, "admin@127.0.0.1", "correct the URL")
    assert "wrong-word" not in refused.err


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_database(camps, command):
    assert_refused(run_command(command, with_name(camps, "no_such")), "no_such", "correct the URL")


@pytest.mark.parametrize("command", COMMANDS)
def test_option_that_the_driver_does_not_know(camps, command):
    refused = run_command(command, f"{camps}?no_such=1")
    assert_refused(refused, "the options of the database URL are not the driver's: no_such")


def test_unknown_profile_changes_nothing(camps):
    schema = dump_schema(camps)
    refused = run_command("install", camps, "--profile", "nosuch")
    assert_refused(refused, "no profile is called 'nosuch'", "(write auto, eden, ")
    assert dump_schema(camps) == schema


@pytest.mark.parametrize("command", ["plan", "install"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ("cannot be read", "No such file")),
        ('extends = "generic', ("ours.toml",)),
        ('extends = "nosuch"', ("no profile is called 'nosuch'",)),
        ('extends = "generic"\ncolour = "red"', ("ours.toml: unknown key 'colour'", "(allowed: ")),
        ('extends = "generic"\n[[table]]\ntables = ["x"]\nsync = 1', ("'sync' is 1", "true or false")),
    ],
)
def test_profile_file_with_an_error_names_the_place_and_changes_nothing(
    camps, tmp_path, command, text, words
):
    profile, schema = tmp_path / "ours.toml", dump_schema(camps)
    if text is not None:
        profile.write_text(text)
    assert_refused(run_command(command, camps, "--profile", str(profile)), *words)
    assert dump_schema(camps) == schema


def test_profile_that_syncs_nothing_changes_nothing(camps):
    schema = dump_schema(camps)
    refused = run_command("install", camps, "--profile", "eden")
    assert_refused(refused, "the profile eden syncs no table of ", "(look at: changecapture plan URL)")
    assert dump_schema(camps) == schema


def test_unrecognised_database_names_the_profiles(camps):
    refused = run_command("install", camps)
    assert_refused(refused, "no profile recognises the database", "(choose one: --profile eden or ")


def test_empty_database_is_not_recognised(server, new_database):
    refused = run_command("install", new_database(server))
    assert_refused(refused, "no profile recognises the database", "it has no tables")


def test_status_and_sync_before_an_installation_name_the_command(camps, server, new_database):
    other = create_camps(new_database(server))
    run_command("install", other, "--profile", "generic")
    mend = "(run: changecapture install URL)"
    assert_refused(run_command("status", camps), "changecapture is not installed in", mend)
    assert_refused(run_command("sync", camps, other), "changecapture is not installed in", mend)
    assert_refused(run_command("sync", other, camps), "changecapture is not installed in", mend)


def test_half_made_installation_is_sent_to_install(camps, server):
    run_command("install", camps, "--profile", "generic")
    peer = {"postgresql": "changecapture.peer", "mysql": "changecapture_peer"}[server.dialect]
    run_script(camps, f"DROP TABLE {peer}")
    refused = run_command("status", camps)
    assert_refused(refused, "the database is not as installed", "(run: changecapture install URL)")


@pytest.mark.parametrize("command", [("install",), ("install", "--sql"), ("uninstall", "--yes")])
def test_installation_by_a_newer_version_is_left_alone(camps, server, command):
    run_command("install", camps, "--profile", "generic")
    version = {"postgresql": "changecapture.changecapture_version", "mysql": "changecapture_version"}
    run_script(camps, f"UPDATE {version[server.dialect]} SET version_num = '9999'")
    tables = read_camps(camps)
    refused = run_command(*command, camps)
    assert refused.status == 2
    assert "is not of this version: Can't locate revision identified by '9999'" in refused.err
    assert "(use the changecapture that installed it, or a newer one)" in refused.err
    run_script(camps, f"UPDATE {version[server.dialect]} SET version_num = '0011'")
    assert run_command("install", camps).out.splitlines()[1] == "0 triggers created, 0 dropped"
    assert read_camps(camps) == tables


def test_installation_by_an_older_version_is_sent_to_install(camps, server):
    run_command("install", camps, "--profile", "generic")
    older = {
        "postgresql": "UPDATE changecapture.changecapture_version SET version_num = '0009'",
        "mysql": "UPDATE changecapture_version SET version_num = '0009'; DROP VIEW changecapture",
    }
    run_script(camps, older[server.dialect])
    for command in ("log", "status") if server.dialect == "mysql" else ("log",):
        refused = run_command(command, camps)
        assert_refused(
            refused, "is of revision 0009, this program needs 0011", "(run: changecapture install URL)"
        )
    assert run_command("install", camps).status == 0
    assert run_command("log", camps).status == 0


def test_one_database_under_two_urls_is_not_synced_with_itself(camps):
    run_command("install", camps, "--profile", "generic")
    assert_refused(run_command("sync", camps, camps), "both URLs name one database")
    other = camps.replace("127.0.0.1", "localhost")
    assert_refused(run_command("sync", camps, other), "both URLs name one database")


def test_copy_of_a_site_is_refused(camps, server):
    run_command("install", camps, "--profile", "generic")
    name = f"{name_of(camps)}_copy"
    try:
        copy = server.create_database(name, name_of(camps))
        refused = run_command("sync", camps, copy)
        assert_refused(refused, "both databases are the same site", "one is a copy of the other")
    finally:
        server.drop_database(name)


@pytest.mark.parametrize("command", [*COMMANDS, "sync"])
def test_missing_url_names_the_environment_variable(command, monkeypatch):
    monkeypatch.delenv("CHANGECAPTURE_URL", raising=False)
    refused = run_command(command, *(["postgresql://h/d"] if command == "sync" else []))
    assert_refused(refused, "no database was named", "CHANGECAPTURE_URL")


@contextmanager
def account(server, url):
    """Give the URL of an account without any right, and a function that grants it some."""
    name = f"cc_{os.getpid()}_user_{next(_numbers)}"
    admin = server.url("postgres") if server.dialect == "postgresql" else server.url("")
    user = name if server.dialect == "postgresql" else f"'{name}'@'%'"
    secret = "PASSWORD" if server.dialect == "postgresql" else "IDENTIFIED BY"
    login = "LOGIN " if server.dialect == "postgresql" else ""
    kind = "ROLE" if server.dialect == "postgresql" else "USER"
    run_script(admin, f"CREATE {kind} {user} {login}{secret} '{PASSWORD}'")
    try:
        yield with_login(url, name, PASSWORD), lambda right: run_script(url, f"GRANT {right} TO {user}")
    finally:
        if server.dialect == "postgresql":
            run_script(url, f"REASSIGN OWNED BY {user} TO CURRENT_USER")
            run_script(url, f"DROP OWNED BY {user}")
        run_script(admin, f"DROP {kind} {user}")


def test_role_without_rights_is_told_which_and_goes_on_when_it_has_them(postgres, new_database):
    url = create_camps(new_database(postgres))
    add_camps(url, 3)
    schema = dump_schema(url)
    with account(postgres, url) as (theirs, grant):
        name = urlsplit(theirs).username
        refused = run_command("install", theirs, "--profile", "generic")
        assert_refused(refused, f"{name} does not own 2 of the tables to be synced", "GRANT admin TO")
        assert dump_schema(url) == schema
        for table in ("camp", "tent", "visit"):
            run_script(url, f"ALTER TABLE {table} OWNER TO {name}")
        owned = dump_schema(url)
        refused = run_command("install", theirs, "--profile", "generic")
        assert_refused(refused, f"{name} may not make a schema in", "GRANT CREATE ON DATABASE")
        assert dump_schema(url) == owned
        grant(f"CREATE ON DATABASE {name_of(url)}")
        done = run_command("install", theirs, "--profile", "generic")
        assert (done.status, done.out.splitlines()[1:]) == (
            0,
            ["4 triggers created, 0 dropped", "3 rows captured from before the installation"],
        )
        assert run_command("status", theirs).status == 0
        assert run_command("uninstall", theirs, "--yes").status == 0
    assert dump_schema(url) == schema


def test_mysql_user_without_rights_is_told_which_and_goes_on_when_it_has_them(mariadb, new_database):
    url = create_camps(new_database(mariadb))
    add_camps(url, 3)
    schema, everywhere = dump_schema(url), f"ON `{name_of(url)}`.*"
    with account(mariadb, url) as (theirs, grant):
        grant(f"SELECT {everywhere}")
        refused = run_command("plan", theirs, "--profile", "generic")
        assert_refused(refused, "does not see what the foreign key tent_ibfk_1 of tent does", "REFERENCES")
        grant(f"REFERENCES {everywhere}")
        refused = run_command("install", theirs, "--profile", "generic")
        assert_refused(refused, "may not give a trigger another account", "SET USER", "--definer current")
        install = ("install", theirs, "--profile", "generic", "--definer", "current")
        refused = run_command(*install)
        rights = "INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, TRIGGER, CREATE VIEW, CREATE ROUTINE"
        assert_refused(refused, "may not do in", f"GRANT {rights} ON")
        assert dump_schema(url) == schema
        run_script(url, refused.err.partition("have an administrator run: ")[2].strip().removesuffix(")"))
        done = run_command(*install)
        assert (done.status, done.out.splitlines()[1:]) == (
            0,
            ["6 triggers created, 0 dropped", "3 rows captured from before the installation"],
        )
        assert run_command("uninstall", theirs, "--yes").status == 0
    assert dump_schema(url) == schema


def test_table_in_use_stops_an_install_that_a_second_run_completes(postgres, new_database):
    url = create_camps(new_database(postgres))
    add_camps(url, 1)
    with connect_postgresql(url) as application:
        application.execute("BEGIN")
        application.execute("UPDATE tent SET beds = 1")
        application.execute("LOCK TABLE tent")
        refused = run_command("install", url, "--profile", "generic")
        assert_refused(refused, "the database is busy", "lock timeout")
        application.execute("ROLLBACK")
    assert run_command("install", url).status == 0
    installed = dump_installation(url)
    assert run_command("install", url).status == 0
    assert dump_installation(url) == installed
    assert len(read_camps(url)) == 1

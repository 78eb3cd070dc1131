"""``changecapture install --sql``: a script that psql or mariadb runs does what install does."""

import subprocess

import pytest

from tests.support.applications import add_camps, create_camps
from tests.support.commands import run_alembic, run_command
from tests.support.databases import fetch, run_script
from tests.support.dumps import dump_installation, dump_schema, run_script_file

PREFIX = {"postgresql": "changecapture.", "mysql": "changecapture_"}
NAMES = (
    "o'clock",
    'a "quote"',
    "back\\slash",
    "semi; colon",
    "$$",
    ":colon",
    "{{hole}}",
    "ශ්‍රී ünï",
    "back`tick",
    "--",
    "select",
    "50% full",
    "delimiter",
)
"""Names that a client, a parser or a template might trip over."""


@pytest.fixture
def camps(server, new_database):
    return create_camps(new_database(server))


@pytest.fixture
def eden(server, new_database):
    return new_database(server, "eden")


def print_script(url, *options):
    printed = run_command("install", url, "--sql", *options)
    assert (printed.status, printed.err) == (0, "")
    return printed.out


def statements_of(script):
    """Return the lines of a script after its head that say or do something."""
    return [
        line for line in script.splitlines() if line and not line.startswith(("--", "SET ", "DELIM", "$$"))
    ]


@pytest.mark.long
def test_script_run_by_hand_makes_what_install_makes_of_eden(eden):
    run_command("install", eden)
    installed = dump_installation(eden)
    run_command("uninstall", eden, "--yes")
    run_script_file(eden, print_script(eden))
    again = run_command("install", eden)
    assert again.out.splitlines()[1] == "0 triggers created, 0 dropped"
    assert dump_installation(eden) == installed
    assert run_alembic(eden, "upgrade", "head").status == 0
    assert dump_installation(eden) == installed


def test_install_after_the_script_only_captures_rows(camps):
    add_camps(camps, 3)
    run_script_file(camps, print_script(camps, "--profile", "generic"))
    schema = dump_schema(camps)
    again = run_command("install", camps)
    assert again.out.splitlines()[1:] == [
        "0 triggers created, 0 dropped",
        "3 rows captured from before the installation",
    ]
    assert dump_schema(camps) == schema


def test_script_captures_from_its_end_on(camps, server):
    run_script_file(camps, print_script(camps, "--profile", "generic"))
    add_camps(camps, 2)
    assert fetch(camps, f"SELECT count(*) FROM {PREFIX[server.dialect]}captured") == [(2,)]


def test_printing_the_script_changes_nothing(camps):
    schema = dump_schema(camps)
    print_script(camps, "--profile", "generic")
    assert dump_schema(camps) == schema


def test_script_holds_no_statement_where_all_is_installed(camps):
    run_command("install", camps, "--profile", "generic")
    assert statements_of(print_script(camps)) == []


def test_script_after_a_change_of_the_application_is_about_that_table_only(camps):
    run_command("install", camps, "--profile", "generic")
    run_script(camps, "ALTER TABLE camp ADD COLUMN wells integer")
    script = print_script(camps)
    assert "camp" in script
    assert "tent" not in script
    run_script_file(camps, script)
    assert run_command("install", camps).out.splitlines()[1] == "0 triggers created, 0 dropped"


def test_script_that_stopped_is_followed_by_one_with_what_is_left(camps):
    run_command("install", camps, "--profile", "generic")
    installed = dump_schema(camps)
    run_command("uninstall", camps, "--yes")
    script = print_script(camps, "--profile", "generic")
    middle = script.index("-- tent")
    with pytest.raises(subprocess.CalledProcessError):
        run_script_file(camps, script[:middle] + "SELECT no_such_column" + script[middle:])
    rest = print_script(camps)
    assert "-- camp" not in rest
    run_script_file(camps, rest)
    assert dump_schema(camps) == installed


def test_script_completes_an_install_that_was_killed_before_its_version_was_written(mariadb, new_database):
    url = create_camps(new_database(mariadb))
    run_command("install", url, "--profile", "generic")
    run_script(url, "DELETE FROM changecapture_version")
    run_script_file(url, print_script(url))
    assert fetch(url, "SELECT version_num FROM changecapture_version") == [("0011",)]


def test_one_script_on_two_databases_makes_two_sites(server, new_database):
    urls = [create_camps(new_database(server)) for _ in range(2)]
    script = print_script(urls[0], "--profile", "generic")
    for url in urls:
        run_script_file(url, script)
    here, there = (fetch(url, f"SELECT origin FROM {PREFIX[server.dialect]}site") for url in urls)
    assert here != there
    assert len(here[0][0]) == 32


def create_odd_tables(url, dialect):
    """Create a table of each of NAMES; return a function that quotes a name."""
    mark = '"' if dialect == "postgresql" else "`"

    def quote(name):
        return mark + name.replace(mark, mark * 2) + mark

    for name in NAMES:
        run_script(
            url,
            f"CREATE TABLE {quote('of ' + name)} ({quote('key ' + name)} varchar(40) NOT NULL PRIMARY KEY, "
            f"{quote(name)} varchar(60) DEFAULT 'o''clock')",
        )
    return quote


def test_script_takes_every_name(server, new_database):
    url = new_database(server)
    create_odd_tables(url, server.dialect)
    schema = dump_schema(url)
    run_command("install", url, "--profile", "generic")
    installed = dump_installation(url)
    run_command("uninstall", url, "--yes")
    assert dump_schema(url) == schema
    run_script_file(url, print_script(url, "--profile", "generic"))
    assert run_command("install", url).out.splitlines()[0] == f"profile generic: {len(NAMES)} tables synced"
    assert dump_installation(url) == installed


def test_rows_travel_whatever_their_tables_are_called(server, new_database):
    here, there = (new_database(server) for _ in range(2))
    for url in (here, there):
        quote = create_odd_tables(url, server.dialect)
        run_command("install", url, "--profile", "generic")
    for name in NAMES:
        run_script(here, f"INSERT INTO {quote('of ' + name)} VALUES ('a', '1'), ('b', '2')")
        run_script(here, f"UPDATE {quote('of ' + name)} SET {quote(name)} = 'new'")
    assert run_command("sync", here, there).status == 0
    for name in NAMES:
        rows = fetch(there, f"SELECT * FROM {quote('of ' + name)}")
        assert sorted(rows) == [("a", "new"), ("b", "new")]


def test_script_of_a_site_with_a_mapping_asks_for_it_at_its_end(mariadb, new_database):
    """It is no part of the schema; a database that has none of its tables is refused as by ``install``."""
    url, other = new_database(mariadb, "vesuvius", ["person_uuid"]), create_camps(new_database(mariadb))
    printed = run_command("install", url, "--profile", "vesuvius", "--mapping", "vesuvius", "--sql")
    assert printed.status == 0 and "`changecapture install URL --mapping vesuvius`" in printed.out
    refused = run_command("install", other, "--profile", "generic", "--mapping", "vesuvius", "--sql")
    assert refused.status == 2 and "is no database of the mapping vesuvius" in refused.err

"""``alembic`` from the checkout: the same state as the command line, and errors in one line."""

import pytest

from tests.support.applications import add_camps, create_camps
from tests.support.commands import ALEMBIC, run_alembic, run_command, run_program
from tests.support.databases import fetch, run_script
from tests.support.dumps import dump_installation, dump_schema, read_catalogue

GENERIC = ("-x", "profile=generic")


@pytest.fixture
def camps(server, new_database):
    return create_camps(new_database(server))


@pytest.mark.parametrize(
    "tables", [{"pr_person", "cr_shelter", "s3_permission"}, pytest.param(None, marks=pytest.mark.long)]
)
def test_alembic_leaves_the_same_as_the_command_line(server, new_database, tables):
    url = new_database(server, "eden", tables)
    schema, catalogue = dump_schema(url), read_catalogue(url)
    assert run_alembic(url, "upgrade", "head").status == 0
    upgraded = dump_installation(url)
    assert run_alembic(url, "downgrade", "base").status == 0
    assert dump_schema(url) == schema
    assert read_catalogue(url) == catalogue
    assert run_command("install", url).status == 0
    assert dump_installation(url) == upgraded


def test_alembic_captures_the_rows_that_are_there(camps):
    add_camps(camps, 3)
    assert run_alembic(camps, "upgrade", "head", options=GENERIC).status == 0
    again = run_command("install", camps)
    assert again.out.splitlines()[2] == "0 rows captured from before the installation"
    assert "changelog:    3 entries" in run_command("status", camps).out


def test_second_upgrade_changes_nothing(camps):
    run_alembic(camps, "upgrade", "head", options=GENERIC)
    installed = dump_installation(camps)
    assert run_alembic(camps, "upgrade", "head").status == 0
    assert dump_installation(camps) == installed


def test_version_table_of_the_application_stays_untouched(camps):
    run_script(
        camps,
        "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY); "
        "INSERT INTO alembic_version VALUES ('of the application')",
    )
    schema = dump_schema(camps)
    assert run_alembic(camps, "upgrade", "head", options=GENERIC).status == 0
    assert fetch(camps, "SELECT version_num FROM alembic_version") == [("of the application",)]
    assert run_alembic(camps, "downgrade", "base").status == 0
    assert fetch(camps, "SELECT version_num FROM alembic_version") == [("of the application",)]
    assert dump_schema(camps) == schema


@pytest.mark.parametrize("command", [("current",), ("history",), ("heads",)])
def test_looking_changes_nothing(camps, command):
    schema = dump_schema(camps)
    assert run_alembic(camps, *command).status == 0
    assert dump_schema(camps) == schema


def test_current_names_the_revision(camps):
    run_alembic(camps, "upgrade", "head", options=GENERIC)
    assert run_alembic(camps, "current").out.split() == ["0011", "(head)"]


def test_downgrade_where_nothing_is_leaves_nothing(camps):
    schema = dump_schema(camps)
    assert run_alembic(camps, "downgrade", "base").status == 0
    assert dump_schema(camps) == schema


def test_unknown_profile_is_refused_before_anything_is_changed(camps):
    schema = dump_schema(camps)
    refused = run_alembic(camps, "upgrade", "head", options=("-x", "profile=nosuch"))
    assert refused.status != 0
    assert "FAILED: no profile is called 'nosuch' (write auto, eden, " in refused.out + refused.err
    assert "Traceback" not in refused.err
    assert dump_schema(camps) == schema


def test_unrecognised_database_is_refused_in_one_line(camps):
    refused = run_alembic(camps, "upgrade", "head")
    assert refused.status != 0
    assert "FAILED: no profile recognises the database" in refused.out + refused.err
    assert "Traceback" not in refused.err


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("upgrade", "head"), "no database was named (add: -x url="),
        (("-x", "url=sqlite:///x", "upgrade", "head"), "not a database URL: it begins with 'sqlite:'"),
        (("-x", "url=env:NO_SUCH", "upgrade", "head"), "no database URL in the environment variable NO_SUCH"),
        (("-x", "url=mysql://h/d", "upgrade", "head", "--sql"), "(run: changecapture install --sql URL)"),
        (("-x", "url=mysql://127.0.0.1:1/d", "upgrade", "head"), "(is the server running?)"),
    ],
)
def test_error_of_the_operator_is_one_line(arguments, what):
    failed = run_program(*ALEMBIC, *arguments)
    assert failed.status != 0
    assert f"{what}" in failed.out + failed.err
    assert "Traceback" not in failed.err

"""``changecapture install`` and ``uninstall``: complete, repeatable, and gone without a trace."""

import json
import signal
import subprocess
import sys

import pytest

from migrations.frozen import read_frozen
from tests.support.applications import add_camps, create_camps
from tests.support.commands import ROOT, run_command
from tests.support.databases import fetch, run_script
from tests.support.dumps import dump_installation, dump_schema, read_catalogue
from tests.support.eden import Eden
from tests.support.schemas import read_catalogue as read_schema

SMALL_EDEN = {"pr_person", "pr_contact", "cr_shelter"}
PEOPLE = {
    name for name in read_schema("eden-postgresql") if name.startswith("pr_") or name == "s3_permission"
}
PREFIX = {"postgresql": "changecapture.", "mysql": "changecapture_"}
SECONDS = 60


@pytest.fixture
def camps(server, new_database):
    return create_camps(new_database(server))


@pytest.fixture
def eden(server, new_database):
    return new_database(server, "eden")


@pytest.fixture
def people(server, new_database):
    """Eden's tables of people, and those that they refer to."""
    return new_database(server, "eden", PEOPLE)


def test_install_says_what_it_did(camps, server):
    add_camps(camps, 3)
    done = run_command("install", camps, "--profile", "generic")
    triggers = {"postgresql": 4, "mysql": 6}[server.dialect]
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "profile generic: 2 tables synced",
        f"{triggers} triggers created, 0 dropped",
        "3 rows captured from before the installation",
    ]


def test_second_install_changes_nothing(camps):
    add_camps(camps, 3)
    run_command("install", camps, "--profile", "generic")
    installed = dump_installation(camps)
    again = run_command("install", camps)
    assert again.out.splitlines()[1:] == [
        "0 triggers created, 0 dropped",
        "0 rows captured from before the installation",
    ]
    assert dump_installation(camps) == installed


def test_uninstall_leaves_the_schema_of_eden_as_it_was(eden):
    catalogue, schema = read_catalogue(eden), dump_schema(eden)
    assert run_command("install", eden).status == 0
    assert dump_schema(eden) != schema
    assert read_catalogue(eden) == catalogue
    assert run_command("uninstall", eden, "--yes").status == 0
    assert read_catalogue(eden) == catalogue
    assert dump_schema(eden) == schema


@pytest.mark.parametrize("application", ["vesuvius", "sahana2"])
def test_uninstall_leaves_the_schema_of_php_applications_as_it_was(mariadb, new_database, application):
    url = new_database(mariadb, application)
    schema = dump_schema(url)
    assert run_command("install", url).out.startswith(f"profile {application}: ")
    assert run_command("install", url).out.splitlines()[1] == "0 triggers created, 0 dropped"
    assert run_command("uninstall", url, "--yes").status == 0
    assert dump_schema(url) == schema


def test_uninstall_leaves_the_rows_as_they_were(server, new_database):
    url = new_database(server, "eden", SMALL_EDEN)
    eden = Eden(url)
    eden.add_contact(eden.add_person("Abel"), "+94 1")
    persons = fetch(url, "SELECT * FROM pr_person")
    run_command("install", url, "--profile", "eden")
    run_command("uninstall", url, "--yes")
    assert fetch(url, "SELECT * FROM pr_person") == persons
    eden.add_person("Bela")
    eden.close()


def test_uninstall_leaves_a_table_of_the_application_that_has_our_prefix(camps):
    run_script(camps, "CREATE TABLE changecapture_x (id int PRIMARY KEY)")
    run_script(camps, "INSERT INTO changecapture_x VALUES (7)")
    run_command("install", camps, "--profile", "generic")
    assert run_command("uninstall", camps, "--yes").status == 0
    assert fetch(camps, "SELECT id FROM changecapture_x") == [(7,)]


def test_index_of_an_identity_goes_again_although_foreign_keys_use_its_columns(
    server, new_database, tmp_path
):
    url = create_camps(new_database(server))
    run_script(
        url,
        "CREATE TABLE trip (origin varchar(60) NOT NULL, target varchar(60) NOT NULL, note text, "
        "FOREIGN KEY (origin) REFERENCES camp (name), FOREIGN KEY (target) REFERENCES camp (name))",
    )
    profile = tmp_path / "trips.toml"
    profile.write_text(
        'extends = "generic"\n[[key]]\ntables = ["trip"]\ncolumns = ["origin", "target"]\nwhy = "a link"\n'
    )
    schema = sorted(dump_schema(url).replace(",\n", "\n").splitlines())
    assert run_command("install", url, "--profile", str(profile)).status == 0
    assert "changecapture_identity_" in dump_schema(url)
    assert run_command("uninstall", url, "--yes").status == 0
    assert sorted(dump_schema(url).replace(",\n", "\n").splitlines()) == schema


def test_uninstall_says_what_is_lost_and_asks(camps):
    add_camps(camps, 3)
    run_command("install", camps, "--profile", "generic")
    add_camps(camps, 2, "new")
    asked = run_command("uninstall", camps, answer="yes\n")
    assert asked.status == 0
    assert "3 entries, 2 captured changes not published yet, 0 deleted rows" in asked.err
    assert run_command("status", camps).status == 2


def test_no_to_the_question_changes_nothing(camps):
    run_command("install", camps, "--profile", "generic")
    installed = dump_installation(camps)
    asked = run_command("uninstall", camps, answer="n\n")
    assert (asked.status, asked.out) == (1, "nothing was changed\n")
    assert dump_installation(camps) == installed


def test_unanswered_question_is_an_error_and_changes_nothing(camps):
    run_command("install", camps, "--profile", "generic")
    installed = dump_installation(camps)
    asked = run_command("uninstall", camps, answer="")
    assert asked.status == 2
    assert "the question was not answered (add --yes to go on without it)" in asked.err
    assert dump_installation(camps) == installed


def test_uninstall_where_nothing_is_does_nothing(camps):
    schema = dump_schema(camps)
    done = run_command("uninstall", camps)
    assert done.status == 0
    assert done.out.startswith("nothing of changecapture is in ")
    assert dump_schema(camps) == schema


def test_profile_file_is_remembered(camps, tmp_path, monkeypatch):
    (tmp_path / "ours.toml").write_text(
        'extends = "generic"\n[[table]]\ntables = ["tent"]\nsync = false\nwhy = "counted elsewhere"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert run_command("install", camps, "--profile", "ours.toml").status == 0
    monkeypatch.chdir("/")
    again = run_command("install", camps)
    assert again.out.splitlines()[:2] == [
        f"profile {tmp_path / 'ours.toml'}: 1 table synced",
        "0 triggers created, 0 dropped",
    ]


def test_table_that_leaves_the_plan_loses_its_triggers_and_gets_them_back(camps, tmp_path):
    run_command("install", camps, "--profile", "generic")
    installed = dump_schema(camps)
    profile = tmp_path / "ours.toml"
    profile.write_text(
        'extends = "generic"\n[[table]]\ntables = ["tent"]\nsync = false\nwhy = "counted elsewhere"\n'
    )
    assert run_command("install", camps, "--profile", str(profile)).status == 0
    assert read_triggers(camps) == {"camp"}
    assert run_command("install", camps, "--profile", "generic").status == 0
    assert dump_schema(camps) == installed


def test_new_column_is_captured_after_another_install(camps):
    run_command("install", camps, "--profile", "generic")
    run_script(camps, "ALTER TABLE camp ADD COLUMN wells integer")
    again = run_command("install", camps)
    made = int(again.out.split("\n")[1].split()[0])
    assert made > 0
    assert again.out.splitlines()[1] == f"{made} triggers created, {made} dropped"
    again = run_command("install", camps)
    assert again.out.splitlines()[1] == "0 triggers created, 0 dropped"


@pytest.mark.parametrize("fixed", [2, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 1, 5))])
def test_mariadb_install_killed_between_the_fixed_objects_is_completed(mariadb, new_database, fixed):
    url = create_camps(new_database(mariadb))
    run_script(url, "CREATE TABLE changecapture_version (version_num varchar(32) NOT NULL PRIMARY KEY)")
    for statement in read_frozen("0001", "mysql", "up")[:fixed]:
        run_script(url, statement)
    assert run_command("install", url, "--profile", "generic").status == 0
    run_script(url, "ALTER TABLE changecapture_version DROP PRIMARY KEY, ADD PRIMARY KEY (version_num)")
    assert_as_fresh(url)


@pytest.mark.parametrize("kept", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (0, 4))])
def test_mariadb_install_killed_between_triggers_is_completed(mariadb, new_database, kept):
    url = create_camps(new_database(mariadb))
    run_command("install", url, "--profile", "generic")
    triggers = fetch(
        url,
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() "
        "ORDER BY event_object_table, trigger_name",
    )
    for (trigger,) in triggers[kept:]:
        run_script(url, f"DROP TRIGGER `{trigger}`")
    run_script(url, "DROP VIEW changecapture_tent_history")
    run_script(url, "UPDATE changecapture_synced_table SET active = 0 WHERE table_name = 'tent'")
    if kept < 3:
        run_script(url, "DELETE FROM changecapture_synced_table WHERE table_name = 'tent'")
    done = run_command("install", url)
    assert done.out.splitlines()[1] == f"{len(triggers) - kept} triggers created, 0 dropped"
    assert_as_fresh(url)


def test_half_made_mariadb_installation_is_taken_away_without_a_trace(mariadb, new_database):
    url = create_camps(new_database(mariadb))
    schema = dump_schema(url)
    for statement in read_frozen("0001", "mysql", "up")[:3]:
        run_script(url, statement)
    asked = run_command("uninstall", url, answer="y\n")
    assert asked.status == 0
    assert "what a half-made installation holds" in asked.err
    assert dump_schema(url) == schema


@pytest.mark.parametrize("kill", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_interrupted_install_is_completed_by_the_next(people, server, kill):
    registered = f"SELECT count(*) FROM {PREFIX[server.dialect]}synced_table"
    process = start_install(people)
    wait_until(process, lambda: count_rows(people, registered) > 5)
    process.send_signal(kill)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == (130 if kill == signal.SIGINT else -signal.SIGKILL), err
    if kill == signal.SIGINT:
        assert "changecapture: interrupted; running the same command again goes on" in err
        assert "Traceback" not in err
    before = count_rows(people, registered)
    assert run_command("install", people).status == 0
    assert before < count_rows(people, registered)
    assert_as_fresh(people)


def test_rows_are_captured_once_although_the_backfill_was_killed(camps, server):
    add_camps(camps, 8000)
    entries = f"SELECT count(*) FROM {PREFIX[server.dialect]}changelog"
    process = start_install(camps, "--profile", "generic")
    wait_until(process, lambda: count_rows(camps, entries) > 0)
    process.kill()
    process.communicate(timeout=SECONDS)
    assert count_rows(camps, entries) < 8000
    done = run_command("install", camps)
    assert done.status == 0
    assert count_rows(camps, entries) == 8000


def assert_as_fresh(url):
    """What is installed equals what an installation from nothing makes."""
    mended = dump_installation(url)
    assert run_command("uninstall", url, "--yes").status == 0
    profile = mended[2][0][3]
    assert run_command("install", url, "--profile", profile).status == 0
    fresh = dump_installation(url)
    assert mended == fresh


def start_install(url, *options):
    return subprocess.Popen(
        [sys.executable, "-m", "changecapture", "install", url, *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(process, reached):
    """Wait for a condition while a process runs; fail when it ends before."""
    for _ in range(SECONDS * 100):
        if reached():
            return
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
        break
    raise AssertionError(f"ended before: {process.communicate()}")


def count_rows(url, query):
    """Return the count, 0 while there is no such table."""
    try:
        return fetch(url, query)[0][0]
    except Exception as error:
        if "exist" not in str(error):
            raise
        return 0


def read_triggers(url):
    """Return the tables of the application that have triggers."""
    schema = "current_schema()" if url.startswith("postgresql") else "DATABASE()"
    rows = fetch(
        url,
        "SELECT DISTINCT event_object_table FROM information_schema.triggers "
        f"WHERE event_object_schema = {schema}",
    )
    return {table for (table,) in rows}


def test_uninstall_names_the_accounts_that_stay_and_what_they_need_after_another_installation(camps):
    run_command("install", camps, "--profile", "generic")
    names = json.loads(run_command("doctor", camps, "--role", "cc_relay", "--json").out)
    grants = [line for finding in names if finding["check"] == "relay's rights" for line in finding["mend"]]
    try:
        for line in grants:
            if line.startswith(("CREATE", "GRANT")):
                run_script(camps, line)
        said = run_command("uninstall", camps, "--yes").out
        assert "cc_relay" in said and "changecapture doctor URL --role NAME" in said
        assert "a relay that still runs for it has nothing to work with: stop it" in said
        assert "what it deletes comes back" in said
    finally:
        if camps.startswith("postgresql"):
            run_script(camps, "DROP OWNED BY cc_relay; DROP ROLE cc_relay")
        else:
            run_script(camps, "DROP USER cc_relay@localhost")

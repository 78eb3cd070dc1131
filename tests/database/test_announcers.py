"""What announces foreign keys is installed, repaired and taken away like the triggers. MariaDB only."""

import pytest

from changecapture.config import parse_url
from changecapture.install import install
from changecapture.steps import list_steps
from changecapture.store import open_store
from changecapture.wanted import find_wanted
from tests.support import estate
from tests.support.commands import run_command
from tests.support.databases import fetch, run_script
from tests.support.dumps import dump_installation, dump_schema, run_script_file

PROFILE = ("--profile", estate.PROFILE)


@pytest.fixture
def url(mariadb, new_database):
    """An estate without anything of ours."""
    url = new_database(mariadb)
    run_script(url, estate.script("mariadb"))
    return url


def names(url):
    """Return the names of our procedures, and of the triggers that call them."""
    procedures = fetch(
        url, "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE()"
    )
    triggers = fetch(
        url,
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() "
        "AND trigger_name LIKE 'changecapture_before%'",
    )
    return {name for (name,) in (*procedures, *triggers)}


def bare(names):
    """Return names without their fingerprints."""
    return {name.rpartition("_")[0] for name in names}


def test_tables_that_are_not_synced_get_only_what_announces(url):
    assert run_command("install", url, *PROFILE).status == 0
    query = (
        "SELECT trigger_name FROM information_schema.triggers "
        "WHERE trigger_schema = DATABASE() AND event_object_table = %s"
    )
    assert bare(name for (name,) in fetch(url, query, ["ledger"])) == {"changecapture_before_delete_ledger"}
    assert bare(name for (name,) in fetch(url, query, ["page"])) == {"changecapture_before_delete_page"}
    assert len(fetch(url, query, ["lease"])) == 3


def test_second_install_changes_nothing(url):
    run_command("install", url, *PROFILE)
    before = dump_installation(url)
    assert run_command("install", url).out.splitlines()[1] == "0 triggers created, 0 dropped"
    assert dump_installation(url) == before


def test_new_foreign_key_is_drift_that_install_repairs(url):
    run_command("install", url, *PROFILE)
    before = names(url)
    run_script(
        url,
        "ALTER TABLE lease ADD CONSTRAINT later FOREIGN KEY (uuid) REFERENCES bed (uuid) ON DELETE CASCADE",
    )
    store = open_store(url, installed=False)
    steps = list_steps(store, find_wanted(store))
    store.close()
    assert {step.table for step in steps} >= {"procedures", "bed", "tent", "camp", "zone"}
    assert run_command("install", url).status == 0
    changed = {"delete_bed", "delete_tent", "delete_camp", "delete_zone", "delete_plot"} & {
        name.removeprefix("changecapture_") for name in bare(names(url) - before)
    }
    assert changed == {"delete_bed", "delete_tent", "delete_camp", "delete_zone"}
    assert bare(before - names(url)) | {
        "changecapture_delete_bed",
        "changecapture_before_delete_bed",
    } == bare(names(url) - before)


def test_foreign_key_that_is_dropped_leaves_nothing_behind(url):
    run_command("install", url, *PROFILE)
    run_script(url, "ALTER TABLE entry DROP FOREIGN KEY entry_ibfk_1")
    assert run_command("install", url).status == 0
    assert not any("ledger" in name or "page" in name for name in names(url))


def test_uninstall_leaves_the_schema_as_it_was(url):
    before = dump_schema(url)
    run_command("install", url, *PROFILE)
    assert run_command("uninstall", url, "--yes").status == 0
    assert dump_schema(url) == before


def test_script_run_by_hand_makes_what_install_makes(url, mariadb, new_database):
    other = new_database(mariadb)
    run_script(other, estate.script("mariadb"))
    run_script_file(url, run_command("install", url, "--sql", *PROFILE).out)
    run_command("install", other, *PROFILE)
    assert names(url) == names(other)
    assert run_command("install", url).out.splitlines()[1] == "0 triggers created, 0 dropped"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.85, 0.9, 0.95, 0.99])
def test_installation_that_was_cut_anywhere_is_completed(url, mariadb, new_database, share):
    """MySQL commits each statement: what is missing is found by its name."""
    whole = new_database(mariadb)
    run_script(whole, estate.script("mariadb"))
    install(parse_url(whole), estate.PROFILE)
    script = run_command("install", url, "--sql", *PROFILE).out
    statements = script.split("\n$$\n")
    run_script_file(url, "\n$$\n".join(statements[: int(len(statements) * share)]) + "\n$$\n")
    assert run_command("install", url, *PROFILE).status == 0
    assert names(url) == names(whole)
    query = "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    assert fetch(url, query) == fetch(whole, query)


def test_upgrade_of_an_announcer_loses_no_announcement(url):
    """Old and new stand side by side for a moment: what both announce is one entry."""
    install(parse_url(url), estate.PROFILE)
    run_script(url, ";".join(estate.ROWS))
    (trigger,) = fetch(
        url,
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() "
        "AND trigger_name LIKE 'changecapture_before_delete_node%'",
    )
    ((_, _, text, *_),) = fetch(url, f"SHOW CREATE TRIGGER `{trigger[0]}`")
    run_script_file(
        url, f"DELIMITER $$\n{text.replace(trigger[0], 'changecapture_before_delete_node_old')}\n$$\n"
    )
    run_script(url, "DELETE FROM changecapture_captured; DELETE FROM node WHERE id = 3")
    run_script(url, "DELETE FROM node WHERE id = 2")
    found = fetch(url, "SELECT count(*) FROM changecapture_captured WHERE operation = 'd'")
    assert found == [(2,)]
    assert run_command("install", url).out.splitlines()[1] == "0 triggers created, 1 dropped"

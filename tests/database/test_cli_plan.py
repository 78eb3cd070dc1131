"""``changecapture plan``: every table with its decision and reason, nothing changed."""

import json

from tests.support.applications import create_camps
from tests.support.commands import run_command
from tests.support.dumps import dump_schema
from tests.support.sites import EDEN_TABLES


def test_every_table_of_eden_has_a_decision_a_module_and_a_reason(server, new_database):
    planned = json.loads(run_command("plan", new_database(server, "eden"), "--json").out)
    assert len(planned["tables"]) == 462
    assert planned["profile"] == "eden"
    assert planned["counts"]["synced"] + planned["counts"]["left_out"] == 462
    assert planned["counts"]["synced"] == sum(table["synced"] for table in planned["tables"])
    assert all(table["module"] and table["reason"] for table in planned["tables"])


def test_plan_is_what_install_does(server, new_database):
    url = new_database(server, "eden", EDEN_TABLES)
    planned = json.loads(run_command("plan", url, "--json", "--profile", "eden").out)
    synced = planned["counts"]["synced"]
    done = run_command("install", url, "--profile", "eden")
    assert done.out.startswith(f"profile eden: {synced} tables synced\n")


def test_plan_in_a_pipe_is_one_line_a_table_and_ends_with_the_counts(server, new_database):
    url = create_camps(new_database(server))
    lines = run_command("plan", url, "--profile", "generic").out.splitlines()
    assert [line.split()[:2] for line in lines[:4]] == [
        ["table", "decision"],
        ["camp", "synced"],
        ["tent", "synced"],
        ["visit", "left"],
    ]
    assert lines[4:] == ["", "profile generic: 2 tables synced, 1 left out"]


def test_table_without_identity_is_left_out_with_the_reason(server, new_database):
    url = create_camps(new_database(server))
    lines = run_command("plan", url, "--profile", "generic").out.splitlines()
    assert "no key: no primary key, no unique key without NULL, no identity column" in lines[3]


def test_notes_say_which_columns_stay(server, new_database):
    url = new_database(server, "eden", {"cr_shelter_type"})
    short = run_command("plan", url, "--profile", "eden").out
    long = run_command("plan", url, "--profile", "eden", "--notes").out
    assert "created_by stays: names a user of this site" not in short
    assert "created_by stays: names a user of this site" in long


def test_plan_changes_nothing(server, new_database):
    url = create_camps(new_database(server))
    schema = dump_schema(url)
    assert run_command("plan", url, "--profile", "generic").status == 0
    assert dump_schema(url) == schema


def test_plan_of_an_installed_database_uses_its_profile(server, new_database):
    url = create_camps(new_database(server))
    run_command("install", url, "--profile", "generic")
    assert run_command("plan", url).out.endswith("profile generic: 2 tables synced, 1 left out\n")


def test_database_is_taken_from_the_environment(server, new_database, monkeypatch):
    url = create_camps(new_database(server))
    monkeypatch.setenv("CHANGECAPTURE_URL", url)
    monkeypatch.setenv("CAMPS", url)
    expected = run_command("plan", url, "--profile", "generic")
    assert run_command("plan", "--profile", "generic") == expected
    assert run_command("plan", "env:CAMPS", "--profile", "generic") == expected

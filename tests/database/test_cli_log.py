"""``changecapture log`` and ``history``: what happened to rows, for people and for tools."""

import json
import signal
import subprocess
import sys

from tests.support.commands import ROOT, run_command
from tests.support.sites import exchange


def read_log(site, *options):
    done = run_command("log", site.url, "--json", *options)
    assert (done.status, done.err) == (0, "")
    return [json.loads(line) for line in done.out.splitlines()]


def test_envelope_tells_creation_change_and_deletion_with_the_row_before_and_after(home):
    home.family.add_parent("p", "Nadia")
    home.publish()
    home.family.note("parent", "p", "bed 3")
    home.publish()
    home.family.delete("parent", "p")
    home.publish()
    created, changed, deleted = read_log(home)
    row = {"name": "Nadia", "note": None, "boss": None}
    noted = {**row, "note": "bed 3"}
    assert [(e["op"], e["before"], e["after"]) for e in (created, changed, deleted)] == [
        ("c", None, row),
        ("u", row, noted),
        ("d", noted, None),
    ]
    source = changed["source"]
    assert (source["table"], source["key"], source["origin"]) == ("parent", "p", home.origin)
    assert (source["number"], source["position"] > 0, changed["ts_ms"]) == (2, True, source["ts_us"] // 1000)


def test_log_is_cut_by_table_key_origin_and_time(families):
    here, there = families
    here.family.add_parent("p")
    here.family.add_child("c", "p")
    exchange(here, there)
    there.family.note("parent", "p", "there")
    exchange(here, there)
    keys = lambda *options: [(e["op"], e["source"]["key"]) for e in read_log(here, *options)]  # noqa: E731
    assert keys("--table", "child") == [("c", "c")]
    assert keys("--key", "p") == [("c", "p"), ("u", "p")]
    assert keys("--origin", there.origin) == [("u", "p")]
    unknown = run_command("log", here.url, "--origin", "nobody")
    assert unknown.status == 2 and "no site nobody is known here" in unknown.err
    assert keys("--since", "2100-01-01") == []


def test_log_for_people_names_time_table_key_and_columns(home):
    home.family.add_parent("p", "Nadia")
    home.publish()
    home.family.note("parent", "p", "x")
    done = run_command("log", home.url)
    assert done.status == 0
    assert "created" in done.out and 'name="Nadia"' in done.out and "this site" in done.out
    assert done.err == "1 change captured and not yet published\n"


def test_followed_log_shows_what_comes_once_until_it_is_interrupted(home):
    command = [sys.executable, "-m", "changecapture", "log", home.url, "--follow", "--json"]
    home.family.add_parent("p")
    home.publish()
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["op"] == "c"
        home.family.note("parent", "p", "x")
        home.publish()
        assert json.loads(process.stdout.readline())["after"]["note"] == "x"
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert (rest, process.returncode) == (b"", 130)


def test_history_tells_a_rows_life_over_all_sites_and_what_lost(families):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    here.family.note("parent", "p", "here")
    here.publish()
    there.family.note("parent", "p", "there")
    exchange(here, there)
    here.family.delete("parent", "p")
    exchange(here, there)
    for site in (here, there):
        life = json.loads(run_command("history", site.url, "parent", "p", "--json").out)
        assert life["state"] == "deleted"
        assert sorted((h["what"], h["origin"]) for h in life["happenings"]) == sorted(
            [
                ("created", here.origin),
                ("changed", here.origin),
                ("changed", there.origin),
                ("conflict", here.origin),
                ("deleted", here.origin),
            ]
        )
    shown = run_command("history", here.url, "PARENT", "p").out
    assert shown.startswith("parent p: deleted") and '"here" lost to "there"' in shown


def test_history_says_why_a_row_is_not_shown(families):
    here, there = families
    here.family.add_parent("mine", "one name")
    there.family.add_parent("yours", "one name")
    exchange(here, there)
    life = json.loads(run_command("history", here.url, "parent", "yours", "--json").out)
    assert life["state"].startswith("parked: unique")


def test_history_of_a_row_that_nobody_knows_is_an_error_that_says_where_to_look(home):
    done = run_command("history", home.url, "parent", "nobody")
    assert (done.status, done.out) == (2, "")
    assert "nothing is known of a row of parent under nobody" in done.err and "changecapture log" in done.err


def test_misspelt_table_is_refused_and_not_called_quiet(home):
    done = run_command("log", home.url, "--table", "parnet")
    assert (done.status, done.out) == (2, "")
    assert "no table parnet is synced here (changecapture plan URL" in done.err
    assert run_command("log", home.url, "--table", "parent").out == "no changes\n"


def test_rows_from_before_the_installation_are_told_as_that(new_tables):
    from tests.support.databases import run_script

    for kind in ("postgresql", "mariadb"):
        site = new_tables(kind, "CREATE TABLE camp (name varchar(60) NOT NULL PRIMARY KEY)")
        url = site.url
        run_command("uninstall", url, "--yes")
        run_script(url, "INSERT INTO camp (name) VALUES ('old')")
        run_command("install", url, "--profile", "generic")
        for command in (("log", url), ("history", url, "camp", "old")):
            shown = run_command(*command).out
            assert "before the installation" in shown and "1970" not in shown


def test_url_that_is_left_out_is_what_is_said_to_be_missing(home, monkeypatch):
    home.family.add_parent("p")
    home.publish()
    monkeypatch.setenv("CHANGECAPTURE_URL", home.url)
    assert run_command("history", "parent", "p").status == 0
    assert "missing: KEY\n" in run_command("history", "parent").err.replace("Error: ", "")
    monkeypatch.delenv("CHANGECAPTURE_URL")
    for command in (("history", "parent", "p"), ("import", "f"), ("export", "f", "--format", "xml")):
        done = run_command(*command)
        assert done.status == 2 and "missing: the database's URL (" in done.err

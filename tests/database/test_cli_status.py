"""``changecapture status``: counts that are right, by the server's clock."""

import json
import re

import pytest

from changecapture.pair import pull
from changecapture.publish import publish
from changecapture.status import Held, read_status
from changecapture.store import open_store
from tests.support.applications import add_camps, create_camps
from tests.support.commands import run_command
from tests.support.databases import fetch, run_script

PREFIX = {"postgresql": "changecapture.", "mysql": "changecapture_"}
MINUTE = 60_000_000


@pytest.fixture
def camps(server, new_database):
    url = create_camps(new_database(server))
    assert run_command("install", url, "--profile", "generic").status == 0
    return url


@pytest.fixture
def other(server, new_database):
    url = create_camps(new_database(server))
    assert run_command("install", url, "--profile", "generic").status == 0
    return url


def read_json(url):
    done = run_command("status", url, "--json")
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


def run_published(url):
    store = open_store(url)
    try:
        while publish(store):
            pass
    finally:
        store.close()


def test_fresh_site_has_nothing_waiting(camps, server):
    status = read_json(camps)
    origin = fetch(camps, f"SELECT origin FROM {PREFIX[server.dialect]}site")[0][0]
    assert (status["site"], status["epoch"], status["profile"]) == (origin, 1, "generic")
    assert (status["tables"], status["to_backfill"]) == (2, 0)
    assert (status["captured"], status["oldest_captured_at"], status["entries"]) == (0, None, 0)
    assert (status["parked"], status["waiting"], status["conflicts"]) == ({}, 0, 0)
    assert (status["vector"], status["peers"], status["deleted_rows"]) == ({}, [], 0)
    assert 0 <= status["now"] - status["installed_at"] < 60 * MINUTE


def test_captured_changes_wait_until_they_are_published(camps):
    add_camps(camps, 3)
    waiting = read_json(camps)
    assert (waiting["captured"], waiting["entries"]) == (3, 0)
    assert 0 <= waiting["now"] - waiting["oldest_captured_at"] < 60 * MINUTE
    run_published(camps)
    published = read_json(camps)
    assert (published["captured"], published["oldest_captured_at"], published["entries"]) == (0, None, 3)
    assert published["vector"] == {published["site"]: {"1": {"all": 3}}}


def in_short(url):
    done = run_command("status", url)
    assert (done.status, done.err) == (0, "")
    line, *rest = done.out.splitlines()
    assert line.startswith("in short: ")
    return line.removeprefix("in short:").strip(), rest


def test_first_line_says_with_whom_the_site_is_in_step_or_what_waits_for_whom(camps, other):
    assert in_short(camps)[0] == "all is well here; no other site was met yet"
    add_camps(camps, 3)
    assert run_command("sync", camps, other).status == 0
    ends = {url: read_json(url)["site"] for url in (camps, other)}
    for url, peer in ((camps, ends[other]), (other, ends[camps])):
        text, rest = in_short(url)
        assert re.fullmatch(rf"all is well: in step with {peer} \(\d+ seconds? ago\)", text)
        (told,) = read_json(url)["peers"]
        assert (told["in_step"], told["waiting"], told["to_come"]) == (True, 0, 0)
    add_camps(camps, 2, "later")
    run_published(camps)
    text, rest = in_short(camps)
    assert re.fullmatch(rf"look at: 2 changes wait for {ends[other]} since \d+ seconds? ago", text)
    assert any(re.search(r"2 changes wait for it since \d+ seconds? ago", line) for line in rest)
    assert read_json(camps)["peers"][0]["in_step"] is False
    assert in_short(other)[0].startswith("all is well"), "what it has not heard of it cannot know"


def test_what_came_from_a_peer_does_not_wait_for_it(camps, other):
    """It stands in the log here after what the peer was last known to have, and is the peer's own."""
    add_camps(other, 1, "first")
    assert run_command("sync", camps, other).status == 0
    add_camps(other, 2, "theirs")
    run_published(other)
    here, there = open_store(camps), open_store(other)
    try:
        assert pull(there, here) == 2
        (peer,) = read_status(here).peers
        assert (peer.waiting, peer.in_step, here.last_position()) == (0, True, 3)
    finally:
        here.close()
        there.close()


def test_age_of_the_oldest_is_told_in_words(camps, server):
    add_camps(camps, 1)
    run_script(
        camps, f"UPDATE {PREFIX[server.dialect]}captured SET captured_at = captured_at - {200 * MINUTE}"
    )
    assert "captured:     1 waiting, the oldest 3 hours ago" in run_command("status", camps).out


def test_status_changes_nothing_and_publishes_nothing(camps):
    add_camps(camps, 3)
    first, second = read_json(camps), read_json(camps)
    assert {**first, "now": 0} == {**second, "now": 0}


def test_peers_tell_when_they_were_heard_of_and_what_came(camps, other):
    add_camps(camps, 3)
    assert run_command("sync", camps, other).status == 0
    here, there = read_json(camps), read_json(other)
    (peer,) = there["peers"]
    assert (peer["site"], peer["received"], peer["pulling"]) == (here["site"], 3, False)
    assert 0 <= there["now"] - peer["contact_at"] < 60 * MINUTE
    text = run_command("status", other).out
    assert re.search(rf"(?m)^{here['site']} +in step \d+ seconds? ago +\d+ seconds? ago +3  ", text)
    assert re.search(rf"(?m) {here['site']} +1 +3$", text)


def test_conflicts_parked_rows_and_deleted_rows_are_counted(camps, other):
    add_camps(camps, 2)
    run_command("sync", camps, other)
    run_script(camps, "UPDATE camp SET place = 'hill' WHERE name = 'camp 0'")
    run_script(other, "UPDATE camp SET place = 'shore' WHERE name = 'camp 0'")
    run_script(camps, "DELETE FROM camp WHERE name = 'camp 1'")
    run_script(other, "ALTER TABLE tent ADD UNIQUE (beds)")
    run_script(other, "INSERT INTO tent (uuid, beds) VALUES ('b', 4)")
    run_script(camps, "INSERT INTO tent (uuid, beds) VALUES ('a', 4)")
    done = run_command("sync", camps, other)
    assert done.out.splitlines()[-1].startswith("in step, but: 1 row parked in ")
    here, there = read_json(camps), read_json(other)
    assert here["conflicts"] + there["conflicts"] > 0
    assert sum(there["parked"].values()) == 1
    assert here["deleted_rows"] == there["deleted_rows"] == 1
    reasons = ", ".join(f"{reason} {number}" for reason, number in there["parked"].items())
    assert f"parked:       1 row: {reasons}" in run_command("status", other).out


def test_resolved_conflict_is_not_open(camps, server):
    table = f"{PREFIX[server.dialect]}conflict"
    for number, resolved in ((1, "NULL"), (2, "7")):
        run_script(
            camps,
            f"INSERT INTO {table} (table_name, row_key, column_name, kept_value, kept_name, kept_stamp, "
            "lost_value, lost_name, lost_stamp, found_at, resolved_at) "
            f"VALUES ('camp', 'camp {number}', 'place', '1', 'x', 1, '2', 'y', 2, 3, {resolved})",
        )
    assert read_json(camps)["conflicts"] == 1


def test_last_number_of_an_origin_is_the_greatest_of_its_scopes(camps, server):
    for scope, number in (("pr", 7), ("gis", 9), ("org", 8)):
        run_script(
            camps, f"INSERT INTO {PREFIX[server.dialect]}vector VALUES ('other', 2, '{scope}', {number})"
        )
    store = open_store(camps)
    try:
        status = read_status(store)
    finally:
        store.close()
    assert status.held == (Held("other", 2, 9),)


def test_installation_that_was_cut_short_is_never_called_equal(camps, other, server):
    add_camps(other, 2)
    table = f"{PREFIX[server.dialect]}synced_table"
    for remains, cut in (
        ("1, 1 of them to be backfilled", f"DELETE FROM {table} WHERE table_name = 'tent'"),
        ("0", f"DELETE FROM {table}"),
    ):
        run_script(camps, f"UPDATE {table} SET backfilled = 0")
        run_script(camps, cut)
        shown = run_command("status", camps)
        assert f"tables:       {remains}; not finished: run changecapture install URL\n" in shown.out
        done = run_command("sync", camps, other)
        assert (done.status, done.err) == (1, "")
        assert done.out.splitlines()[-1].startswith("not equal: ")
        assert "is not installed to the end" in done.out
    assert run_command("install", camps).status == 0
    assert run_command("sync", camps, other).out.endswith("\nequal\n")

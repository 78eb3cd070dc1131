"""``changecapture compact`` and ``site renew``: on both engines, and beside ``sync``, which keeps a memo."""

from itertools import count

import pytest

from tests.support.applications import add_camps, create_camps, read_camps
from tests.support.backups import dump
from tests.support.commands import run_command
from tests.support.databases import fetch, name_of, run_script
from tests.support.dumps import run_script_file

PREFIX = {"postgresql": "changecapture.", "mysql": "changecapture_"}
_numbers = count(1)


@pytest.fixture
def pair(server, new_database):
    """Two installed databases."""
    urls = [create_camps(new_database(server)) for _ in range(2)]
    for url in urls:
        assert run_command("install", url, "--profile", "generic").status == 0
    return urls


def test_restored_backup_is_noticed_by_the_next_sync(pair, server):
    """The memo says so, before anything is published under a name that was given already."""
    here, there = pair
    add_camps(here, 2, "before")
    run_command("sync", here, there)
    backup = dump(here)
    add_camps(here, 1, "lost")
    run_command("sync", here, there)
    server.drop_database(name_of(here))
    server.create_database(name_of(here))
    run_script_file(here, backup)
    add_camps(here, 3, "after")
    again = run_command("sync", here, there)
    assert again.out.splitlines()[-1] == "equal"
    assert read_camps(here) == read_camps(there)
    assert len(read_camps(here)) == 6
    assert fetch(here, f"SELECT count(*) FROM {PREFIX[server.dialect]}contested") == [(0,)]
    assert fetch(here, f"SELECT epoch > 1 FROM {PREFIX[server.dialect]}site")[0][0]


def test_copy_gets_a_name_of_its_own_and_then_is_a_site(pair, server, new_database):
    here, there = pair
    add_camps(here, 2, "before")
    run_command("sync", here, there)
    copied = new_database(server)
    run_script_file(copied, dump(here))
    assert run_command("install", copied).status == 0
    refused = run_command("sync", here, copied)
    assert refused.status == 2 and "changecapture site renew URL" in refused.err
    kept = run_command("site", "renew", copied, answer="n\n")
    assert kept.status == 2 and "nothing was changed" in kept.err
    renewed = run_command("site", "renew", copied, "--yes")
    assert renewed.status == 0 and "pair it: changecapture-relay pair" in renewed.out
    add_camps(here, 1, "original")
    add_camps(copied, 1, "copy")
    for left, right in ((here, copied), (copied, there), (here, copied)):
        assert run_command("sync", left, right).out.splitlines()[-1] == "equal"
    assert read_camps(here) == read_camps(there) == read_camps(copied)
    assert len(read_camps(here)) == 4


def test_compaction_tells_what_went_and_what_is_left(pair, server):
    here, there = pair
    add_camps(here, 3, "camp")
    run_command("sync", here, there)
    run_script(here, "UPDATE camp SET place = '1'; UPDATE camp SET place = '2'")
    run_command("sync", here, there)
    run_script(here, "UPDATE camp SET place = '3'")
    run_command("sync", here, there)
    told = run_command("compact", here, "--keep", "30")
    assert told.out == "0 entries given up, 9 left\n"
    told = run_command("compact", here, "--keep", "0")
    assert told.out == "6 entries given up, 3 left\n"
    assert run_command("sync", here, there).out.splitlines()[-1] == "equal"


@pytest.mark.parametrize("days", ["-1", "x"])
def test_age_that_is_none_is_refused(pair, days):
    refused = run_command("compact", pair[0], "--keep", days)
    assert refused.status == 2 and refused.out == ""

"""Eight writers with rollbacks, savepoints and long transactions, beside two publishers that are killed (kill
-9 of a process) and started again at random: every committed change is in the log once, none is missed.

``CHANGECAPTURE_TEST_SEED`` repeats a run's decisions; the seed is printed.
"""

import os
import random
import time
from contextlib import closing
from functools import partial
from threading import Event

import pytest

from tests.support import family
from tests.support.databases import run_script
from tests.support.patience import Patience
from tests.support.publisher import publish_and_kill
from tests.support.sites import Site
from tests.support.writers import SHARED, find_faults, write_together

SEED = "CHANGECAPTURE_TEST_SEED"


def check_writers(server, new_database, kind, seconds, pause_s):
    seed = int(os.environ.get(SEED, time.time_ns() % 1_000_000))
    print(f"{SEED}={seed}")
    url = new_database(server)
    run_script(url, family.script(kind))
    with closing(Site(url, "generic")) as site:
        site.family.add_parent(SHARED)
        write_and_publish(site, url, seed, seconds, pause_s)


def write_and_publish(site, url, seed, seconds, pause_s):
    stop, done, killed = Event(), {}, []

    def write():
        try:
            done["committed"] = write_together(url, seconds, seed, pause_s)
        finally:
            stop.set()

    def publish(number):
        killed.append(publish_and_kill(url, random.Random(f"{seed} {number}"), stop))

    Patience().together(write, partial(publish, 1), partial(publish, 2))
    site.publish()
    columns = site.quote("columns")
    entries = site.fetch(f"SELECT row_key, {columns} FROM {{p}}changelog ORDER BY position")
    assert find_faults(done["committed"], entries) == []
    assert site.fetch("SELECT * FROM {p}missed") == site.fetch("SELECT * FROM {p}captured") == []
    ((shared,),) = site.family.rows("SELECT note FROM parent WHERE uuid = %s", SHARED)
    assert site.entries("parent", SHARED)[-1]["note"] == shared
    print(f"{len(done['committed'])} rows, {len(entries)} entries, {sum(killed)} publishers killed")
    assert min(killed) > 2 and len(done["committed"]) > 50


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_every_committed_change_is_published_once(request, new_database, kind):
    server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
    check_writers(server, new_database, kind, seconds=5, pause_s=0.02)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_every_committed_change_is_published_once_in_half_an_hour(request, new_database, kind):
    server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
    check_writers(server, new_database, kind, seconds=1800, pause_s=0.2)

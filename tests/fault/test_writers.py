"""Eight writers with rollbacks, savepoints and long transactions, beside a publisher that is killed (kill -9
of its process) and started again at random: every committed change is in the log once, none is missed.

``CHANGECAPTURE_TEST_SEED`` repeats a run's decisions; the seed is printed.
"""

import os
import random
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from tests.support import family
from tests.support.databases import run_script
from tests.support.patience import Patience
from tests.support.sites import Site
from tests.support.writers import SHARED, find_faults, write_together

SEED = "CHANGECAPTURE_TEST_SEED"
ROOT = Path(__file__).parents[2]


def publish_and_kill(url, chance, stop):
    """Run publishers, one after the other, each killed a moment after it began; return how many."""
    killed = 0
    while not stop.is_set():
        command = [sys.executable, "-m", "tests.fault.publisher", url]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as publisher:
            try:
                assert publisher.stdout is not None
                assert publisher.stdout.readline() == "publishing\n"
                stop.wait(chance.uniform(0.0, 0.6))
            finally:
                publisher.kill()
        killed += 1
    return killed


def check_writers(server, new_database, kind, seconds, pause_s):
    seed = int(os.environ.get(SEED, time.time_ns() % 1_000_000))
    print(f"{SEED}={seed}")
    url = new_database(server)
    run_script(url, family.script(kind))
    with closing(Site(url, "generic")) as site:
        site.family.add_parent(SHARED)
        write_and_publish(site, url, seed, seconds, pause_s)


def write_and_publish(site, url, seed, seconds, pause_s):
    stop, done = Event(), {}

    def write():
        try:
            done["committed"] = write_together(url, seconds, seed, pause_s)
        finally:
            stop.set()

    def publish():
        done["killed"] = publish_and_kill(url, random.Random(seed), stop)

    Patience().together(write, publish)
    site.publish()
    columns = site.quote("columns")
    entries = site.fetch(f"SELECT row_key, {columns} FROM {{p}}changelog ORDER BY position")
    assert find_faults(done["committed"], entries) == []
    assert site.fetch("SELECT * FROM {p}missed") == site.fetch("SELECT * FROM {p}captured") == []
    ((shared,),) = site.family.rows("SELECT note FROM parent WHERE uuid = %s", SHARED)
    assert site.entries("parent", SHARED)[-1]["note"] == shared
    print(f"{len(done['committed'])} rows, {len(entries)} entries, {done['killed']} publishers killed")
    assert done["killed"] > 2 and len(done["committed"]) > 50


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_every_committed_change_is_published_once(request, new_database, kind):
    server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
    check_writers(server, new_database, kind, seconds=5, pause_s=0.02)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_every_committed_change_is_published_once_in_half_an_hour(request, new_database, kind):
    server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
    check_writers(server, new_database, kind, seconds=1800, pause_s=0.2)

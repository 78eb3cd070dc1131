"""kill -9 of a database server within and between publish and apply: nothing is lost or doubled.

The servers are of this file, durable and on a real disk. What fails must fail as RetryLater: the relay
would try again. After a restart everybody just goes on.
"""

import os
import random
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from threading import Event, Thread, Timer

import psycopg
import pymysql
import pytest

from changecapture.errors import RetryLater
from changecapture.pair import pull
from changecapture.publish import publish
from tests.support import family
from tests.support.databases import run_script
from tests.support.family import Family
from tests.support.interrupt import InterruptedStore
from tests.support.pairing import pair_states
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.servers import MariaDBServer, PostgresServer, scratch_directory
from tests.support.sites import Site, assert_in_step, exchange

KINDS = ("postgresql", "mariadb")
PUBLISHING = ("read_captured", "append_entries", "write_versions", "write_site", "delete_captured")
SEED = "CHANGECAPTURE_TEST_SEED"
WRITE_S = 0.02
"""Between two writes of an application under load."""
MOST_WRITES = 60
"""Between two kills: a moment at random."""
SETTLE_S, LOOK_S = 180.0, 0.2
APPLYING = ("hold_rows", "update_rows", "write_versions", "append_entries", "write_progress")
APPLYING_IN_BULK = ("insert_columns", "update_columns", "append_first", "append_next")
"""Where nothing arrives that needs a decision."""


class Place:
    """A site on a server of its own."""

    def __init__(self, kind: str, server: PostgresServer | MariaDBServer) -> None:
        self.server = server
        url = server.create_database("site")
        run_script(url, family.script(kind))
        self.site = Site(url, "generic")

    def recover(self) -> None:
        """Start the server again after a kill; connections are opened anew when needed."""
        self.site.close()
        self.server.start()


@pytest.fixture(scope="module")
def places() -> Iterator[dict[str, Place]]:
    with (
        scratch_directory(durable=True) as directory,
        PostgresServer(directory / "postgresql", durable=True) as postgres,
        MariaDBServer(directory / "mariadb", durable=True) as mariadb,
    ):
        made = {"postgresql": Place("postgresql", postgres), "mariadb": Place("mariadb", mariadb)}
        yield made
        for place in made.values():
            place.site.close()


@pytest.fixture
def empty(places):
    """Both sites, as if nothing had happened."""
    for place in places.values():
        place.recover()
        place.site.clean()
    return places


def other_kind(kind):
    return next(other for other in KINDS if other != kind)


def write_some(site, name):
    """Write as an application does: rows, an edit of each, a delete; return what must be there."""
    run = site.family
    for number in range(4):
        key = f"{name} {number}"
        run.add_parent(key)
        run.add_child(f"{key} child", key)
        run.note("parent", key, name)
    run.delete("child", f"{name} 3 child")
    run.delete("parent", f"{name} 3")
    return {f"{name} {number}" for number in range(3)}


def check(empty, expected):
    left, right = (empty[kind].site for kind in KINDS)
    exchange(left, right)
    found = assert_in_step(left, right)
    assert set(left.family.shown("parent")) == expected
    assert found.rows["parent"] == found.rows["child"] == len(expected)
    names = [site.fetch("SELECT origin, epoch, number FROM {p}changelog") for site in (left, right)]
    assert sorted(names[0]) == sorted(names[1])


@pytest.mark.parametrize("kind", KINDS)
def test_kill_within_publish_loses_and_doubles_nothing(empty, kind):
    place, expected = empty[kind], set()
    for moment in PUBLISHING:
        expected |= write_some(place.site, moment)
        store = InterruptedStore(place.site.store, moment, place.server.kill)
        with pytest.raises(RetryLater):
            publish(store)
        assert store.done
        place.recover()
    check(empty, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_kill_within_apply_loses_and_doubles_nothing(empty, kind):
    place, source = empty[kind], empty[other_kind(kind)]
    expected = write_some(source.site, "first")
    exchange(source.site, place.site)
    for moment in APPLYING:
        expected |= write_some(source.site, moment) | write_some(place.site, f"own {moment}")
        source.site.family("UPDATE parent SET note = %s", moment)
        place.site.publish()
        store = InterruptedStore(place.site.store, moment, place.server.kill)
        with pytest.raises(RetryLater):
            pull(source.site.store, store)
        assert store.done
        place.recover()
    check(empty, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_kill_within_apply_in_bulk_loses_and_doubles_nothing(empty, kind):
    place, source = empty[kind], empty[other_kind(kind)]
    source.site.family.add_parent("old")
    exchange(source.site, place.site)
    for moment in APPLYING_IN_BULK:
        source.site.family.note("parent", "old", moment)
        source.site.family.add_parent(moment)
        store = InterruptedStore(place.site.store, moment, place.server.kill)
        with pytest.raises(RetryLater):
            pull(source.site.store, store)
        assert store.done
        place.recover()
        exchange(source.site, place.site)
    assert_in_step(source.site, place.site)
    assert set(place.site.family.shown("parent")) == {"old", *APPLYING_IN_BULK}


@pytest.mark.parametrize("kind", KINDS)
def test_kill_between_a_commit_and_the_next_step_loses_and_doubles_nothing(empty, kind):
    place, source = empty[kind], empty[other_kind(kind)]
    expected = write_some(place.site, "written")
    place.server.kill()
    place.recover()
    place.site.publish()
    expected |= write_some(source.site, "received")
    place.server.kill()
    place.recover()
    pull(source.site.store, place.site.store)
    place.server.kill()
    place.recover()
    check(empty, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_kill_of_the_sender_within_a_pull_loses_and_doubles_nothing(empty, kind):
    sender, receiver = empty[kind], empty[other_kind(kind)]
    expected = write_some(sender.site, "sent")
    store = InterruptedStore(sender.site.store, "read_entries", sender.server.kill)
    with pytest.raises(RetryLater):
        pull(store, receiver.site.store)
    sender.recover()
    check(empty, expected)


class Application(Thread):
    """Adds parents without a pause, edits each, deletes every fourth, through whatever happens to its server.

    ``kept`` is what its database said is there ({key: note}), ``gone`` what it said is not; ``doubtful`` are
    the keys of which it could not say what became of the last statement.
    """

    def __init__(self, url: str, name: str) -> None:
        super().__init__(daemon=True)
        self._url, self._name = url, name
        self._ended = Event()
        self.kept: dict[str, str] = {}
        self.gone: set[str] = set()
        self.doubtful: set[str] = set()

    def run(self) -> None:
        numbers = count()
        while not self._ended.wait(WRITE_S):
            with suppress(psycopg.Error, pymysql.Error), closing(Family(self._url)) as connection:
                while not self._ended.wait(WRITE_S):
                    number = next(numbers)
                    self._write(connection, f"{self._name} {number}", leaves=number % 4 == 0)

    def _write(self, connection: Family, key: str, *, leaves: bool) -> None:
        self.doubtful.add(key)
        connection.add_parent(key)
        connection.note("parent", key, key)
        if leaves:
            connection.delete("parent", key)
            self.gone.add(key)
        else:
            self.kept[key] = key
        self.doubtful.discard(key)

    @property
    def written(self) -> int:
        """How many rows it is through with."""
        return len(self.kept) + len(self.gone)

    def end(self) -> None:
        """Write no more."""
        self._ended.set()
        self.join()


def kill_one(relay, place, victim):
    """Kill a relay, its database server, or both at once, and start them again."""
    if victim != "server":
        relay.kill()
    if victim != "relay":
        place.server.kill()
        place.recover()
    if victim != "server":
        relay.start()


def kill_under_load(places, directory, rounds):
    """Kill relays and database servers, again and again, while both applications write and both relays
    exchange; start them again; at the end what was committed is at both sites, once."""
    seed = int(os.environ.get(SEED, time.time_ns() % 1_000_000))
    print(f"{SEED}={seed}")
    chance, patience = random.Random(seed), Patience()
    relays = {kind: Relay(kind, place.site.url, directory) for kind, place in places.items()}
    pair_states(*((relay.name, relay.state) for relay in relays.values()))
    applications = [Application(place.site.url, kind) for kind, place in places.items()]
    try:
        for runner in (*relays.values(), *applications):
            runner.start()
        for _ in range(rounds):
            written = sum(a.written for a in applications) + chance.randint(1, MOST_WRITES)
            patience.wait(lambda n=written: sum(a.written for a in applications) >= n, "writes")
            kind = chance.choice(KINDS)
            kill_one(relays[kind], places[kind], chance.choice(("relay", "server", "both")))
        for application in applications:
            application.end()
        sites = [places[kind].site for kind in KINDS]
        patience.wait(
            lambda: all(find_faults(site, applications) == set() for site in sites),
            "both sites to show what was committed, and no more",
            SETTLE_S,
            LOOK_S,
        )
    finally:
        for relay in relays.values():
            relay.stop()
    return applications


def find_faults(site, applications):
    """Return the keys that a site does not show as an application's database said that they were kept."""
    shown = site.family.shown("parent")
    kept = {key: note for one in applications for key, note in one.kept.items()}
    doubtful = set().union(*(one.doubtful for one in applications))
    return {key for key in kept.keys() | shown.keys() if shown.get(key) != kept.get(key)} - doubtful


def check_load(places, applications):
    left, right = (places[kind].site for kind in KINDS)
    exchange(left, right)
    assert_in_step(left, right)
    names = [site.fetch("SELECT origin, epoch, number FROM {p}changelog") for site in (left, right)]
    assert sorted(names[0]) == sorted(names[1])
    assert find_faults(left, applications) == set()
    assert len(left.family.rows("SELECT 1 FROM parent")) == len(left.family.shown("parent"))
    kept, gone, doubtful = (
        sum(len(getattr(a, what)) for a in applications) for what in ("kept", "gone", "doubtful")
    )
    print(f"{kept} rows kept, {gone} deleted, {doubtful} in doubt; {len(names[0])} entries, each once")


def test_kills_of_relays_and_servers_under_load_lose_and_double_nothing(empty, tmp_path):
    check_load(empty, kill_under_load(empty, tmp_path, rounds=2))


@pytest.mark.long
def test_fifty_kills_of_relays_and_servers_under_load_lose_and_double_nothing(empty, tmp_path):
    check_load(empty, kill_under_load(empty, tmp_path, rounds=50))


def test_kills_at_random_moments_lose_and_double_nothing(empty):
    """What was committed before a kill is there, once; a transaction that the kill cut is not asked for."""
    chance = random.Random(20261123)
    expected = set()
    for turn in range(6):
        for kind in KINDS:
            expected |= write_some(empty[kind].site, f"turn {turn} {kind}")
        victim = empty[chance.choice(KINDS)]
        bomb = Timer(chance.uniform(0.0, 0.15), victim.server.kill)
        bomb.start()
        try:
            while bomb.is_alive():
                exchange(*(empty[kind].site for kind in KINDS))
        except RetryLater:
            pass
        bomb.join()
        victim.recover()
    check(empty, expected)

"""Whole sites as one state machine: what people do, and all that can happen between sites.

It takes sites of any store: on real servers (``sites.Site``) or in memory (``memory.MemorySite``). After each
run everybody exchanges until it is quiet; then the sites show the same rows, which are those that the
ledger's plain rules give, nothing is lost without a record, a further round moves nothing, and what each
site knows of its rows is what its log says.
"""

import os
import random
from collections.abc import Callable
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from itertools import permutations

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from changecapture import pair
from changecapture.apply import retry
from changecapture.errors import PeerError
from changecapture.sync import answer, next_request, receive
from tests.support import memory
from tests.support.compare import compare_readers
from tests.support.interrupt import InterruptedStore
from tests.support.ledger import Ledger
from tests.support.memory import MemorySite
from tests.support.sites import AnySite, assert_sound_log

SEED = "CHANGECAPTURE_TEST_SEED"
MINUTE = 60_000_000
COUNT = 3

places = st.integers(0, COUNT - 1)
people = st.sampled_from(["p1", "p2", "p3"])
parents = st.sampled_from(["p1", "p2"])
children = st.sampled_from(["c1", "c2"])
names = st.sampled_from(["x", "y"])
codes = st.sampled_from(["i1", "i2"])
columns = st.sampled_from(["a", "b"])
texts = st.sampled_from(["x", "y", ""]) | st.none()
CRASHES = ("read_captured", "append_entries", "hold_rows", "write_versions", "write_passes", "write_progress")

PEOPLE = """
CREATE TABLE person (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    a varchar(20),
    b varchar(20),
    boss integer,
    deleted char(1),
    FOREIGN KEY (boss) REFERENCES person (id) ON DELETE SET NULL
){engine};
CREATE TABLE item (
    code varchar(20) PRIMARY KEY,
    a varchar(20),
    b varchar(20)
){engine}
"""
PROFILE = """
extends = "generic"
title = "A flag and a natural key"

[deleted]
column = "deleted"
deleted = "T"
live = "F"
"""


class Crash(BaseException):
    """The relay is killed: its transaction is rolled back."""


class SitesMachine(RuleBasedStateMachine):
    """What can happen between sites."""

    open_sites: Callable[[], list[AnySite]]
    """Gives the sites of a run, empty."""
    may_stay_parked: frozenset[str] = frozenset()
    """Reasons for which a row may stay parked in the end, at every site alike."""
    judged = True
    """Whether the ledger can say what must be shown: it does not know that two keys may be one row."""

    def __init__(self) -> None:
        super().__init__()
        self.sites = self.open_sites()
        self.clocks = [0] * len(self.sites)
        self.payloads: list[tuple[int, int, bytes]] = []
        self.ledger = Ledger()
        self.upgraded: set[int] = set()

    def spread(self, everywhere):
        """Bring what the first site has to all others, or not."""
        for to in range(1, len(self.sites)):
            if everywhere:
                self.exchange(0, to)

    @rule(place=places, minutes=st.integers(-60, 60))
    def skew_clock(self, place, minutes):
        self.clocks[place] = minutes * MINUTE

    @rule(place=places)
    def publish(self, place):
        """Publish, by this site's clock."""
        self.set_times(place)
        with self.ledger.watching(self.sites[place]):
            self.sites[place].publish()

    def set_times(self, place):
        """Let what was captured have been captured by this site's clock."""
        site = self.sites[place]
        if self.clocks[place]:
            site.family(
                f"UPDATE {site.prefix}captured SET captured_at = captured_at + %s", self.clocks[place]
            )

    @rule(source=places, to=places)
    def exchange(self, source, to):
        if source != to:
            with self.both(source, to):
                self.pull(self.sites[source], self.sites[to])

    @rule(source=places, to=places, limit=st.integers(1, 3))
    def cut_exchange(self, source, to, limit):
        """The line breaks after a few entries."""
        if source != to:
            self.deliver(self.make_batch(source, to, limit))

    @rule(source=places, to=places, limit=st.integers(1, 3))
    def lose_answer(self, source, to, limit):
        """The answer was made and does not arrive; it may yet do so, late."""
        if source != to:
            self.make_batch(source, to, limit)

    @rule(data=st.data())
    def reorder(self, data):
        """A batch arrives late or again: it does not follow what has come, or it changes nothing."""
        if self.payloads:
            self.deliver(data.draw(st.sampled_from(self.payloads)), late=True)

    @rule()
    def repeat(self):
        """The last batch arrives once more."""
        if self.payloads:
            self.deliver(self.payloads[-1], late=True)

    @rule(source=places, to=places, moment=st.sampled_from(CRASHES))
    def crash(self, source, to, moment):
        """The receiving relay is killed in the middle of a pull."""
        if source == to:
            return
        batch = self.make_batch(source, to, 5)
        store = InterruptedStore(self.sites[to].store, moment, self.die)
        with suppress(Crash), self.both(source, to):
            receive(store, self.sites[source].origin, batch[2])

    @rule(place=places)
    def try_parked_rows_again(self, place):
        self.set_times(place)
        with self.ledger.watching(self.sites[place]):
            retry(self.sites[place].store)

    @contextmanager
    def both(self, source, to):
        """Let two sites exchange, each by its clock."""
        self.set_times(source)
        self.set_times(to)
        with self.ledger.watching(self.sites[source]), self.ledger.watching(self.sites[to]):
            yield

    def pull(self, source, target):
        """Pull until nothing is left; in memory without the thread of a real source."""
        near = isinstance(source, MemorySite)
        return (memory.pull if near else pair.pull)(source.store, target.store)

    def die(self):
        raise Crash

    def make_batch(self, source, to, limit):
        self.publish(source)
        left, right = self.sites[source], self.sites[to]
        request = replace(next_request(right.store, left.origin), limit=limit)
        batch = source, to, answer(left.store, request).payload
        self.payloads.append(batch)
        return batch

    def deliver(self, batch, *, late=False):
        source, to, payload = batch
        with suppress(PeerError) if late else nullcontext(), self.both(source, to):
            receive(self.sites[to].store, self.sites[source].origin, payload)

    @invariant()
    def applier_is_not_captured_and_breaks_no_reference(self):
        for site in self.sites:
            if isinstance(site, MemorySite):
                assert site.store.query("PRAGMA foreign_key_check") == []

    def teardown(self):
        try:
            self.settle()
        finally:
            for site in self.sites:
                if isinstance(site, MemorySite):
                    site.close()

    def settle(self):
        """Let everybody exchange until it is quiet, and look."""
        for place in range(len(self.sites)):
            self.publish(place)
        for _ in range(4):
            moved = sum(self.pull(a, b) for a, b in permutations(self.sites, 2))
            for site in self.sites:
                retry(site.store)
            if not moved:
                break
        assert moved == 0, "it does not come to rest"
        self.check()

    def check(self):
        first = self.sites[0]
        for site in self.sites:
            assert site.fetch("SELECT count(*) FROM {p}captured") == [(0,)]
            assert site.parked() == first.parked()
            assert set(site.parked().values()) <= self.may_stay_parked
            assert_sound_log(site)
        if self.judged:
            self.ledger.check(self.sites)
        for other in self.sites[1:]:
            with first.reader() as ours, other.reader() as theirs:
                assert compare_readers(ours, theirs).differences == ()


class PeopleMachine(SitesMachine):
    """People, archived by a flag or deleted, and items named by a code, deleted for good."""

    @initialize(everywhere=st.booleans())
    def begin(self, everywhere):
        for key in ("p1", "p2"):
            self.write_person(0, key, "a", "x")
        self.refer_person(0, "p1", "p2")
        self.write_item(0, "i1", "a", "x")
        self.spread(everywhere)

    @rule(place=places)
    def upgrade_schema(self, place):
        """The application of a site gets a column more; others may have sent it values long ago."""
        site = self.sites[place]
        if isinstance(site, MemorySite) and place not in self.upgraded:
            self.upgraded.add(place)
            with self.ledger.watching(site):
                site.upgrade("ALTER TABLE person ADD COLUMN c varchar(20)")

    @rule(place=places, key=people, column=columns | st.just("c"), text=texts)
    def write_person(self, place, key, column, text):
        run = self.sites[place].family
        if column == "c" and place not in self.upgraded:
            return
        if not run(f"UPDATE person SET {column} = %s WHERE uuid = %s", text, key):
            if not run.rows("SELECT 1 FROM person WHERE uuid = %s", key):
                run(f"INSERT INTO person (uuid, {column}, deleted) VALUES (%s, %s, 'F')", key, text)

    @rule(place=places, key=people, boss=people)
    def refer_person(self, place, key, boss):
        """Eden does not offer archived rows."""
        run = self.sites[place].family
        found = run.rows("SELECT id FROM person WHERE uuid = %s AND deleted = 'F'", boss)
        if found:
            run("UPDATE person SET boss = %s WHERE uuid = %s", found[0][0], key)

    @rule(place=places, key=people)
    def archive_person(self, place, key):
        run = self.sites[place].family
        run("UPDATE person SET deleted = 'T', boss = NULL WHERE uuid = %s AND deleted = 'F'", key)

    @rule(place=places, key=people, text=texts)
    def revive_person(self, place, key, text):
        run = self.sites[place].family
        run("UPDATE person SET deleted = 'F', a = %s WHERE uuid = %s AND deleted = 'T'", text, key)

    @rule(place=places, key=people)
    def delete_person(self, place, key):
        """References are emptied first: MariaDB's own cascade is not captured yet (part 2)."""
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM person WHERE uuid = %s", key):
            run("UPDATE person SET boss = NULL WHERE boss = %s", id_)
            run("DELETE FROM person WHERE id = %s", id_)

    @rule(place=places, key=codes, column=columns, text=texts)
    def write_item(self, place, key, column, text):
        run = self.sites[place].family
        if not run(f"UPDATE item SET {column} = %s WHERE code = %s", text, key):
            if not run.rows("SELECT 1 FROM item WHERE code = %s", key):
                run(f"INSERT INTO item (code, {column}) VALUES (%s, %s)", key, text)

    @rule(place=places, key=codes)
    def delete_item(self, place, key):
        self.sites[place].family("DELETE FROM item WHERE code = %s", key)

    @rule(place=places, key=codes, new=codes)
    def rename_item(self, place, key, new):
        run = self.sites[place].family
        if not run.rows("SELECT 1 FROM item WHERE code = %s", new):
            run("UPDATE item SET code = %s WHERE code = %s", new, key)


class FamilyMachine(SitesMachine):
    """Children that cannot be without a parent, toys that cannot be without a child, links of both.

    The application deletes as one does who knows the database: what refers first.
    """

    may_stay_parked = frozenset(["reference"])

    @initialize(everywhere=st.booleans())
    def begin(self, everywhere):
        for key in ("p1", "p2"):
            self.sites[0].family.add_parent(key)
        self.sites[0].family.add_child("c1", "p1", may="p2", keep="p2")
        self.write_new_toy(0, "c1")
        self.write_new_link(0, "p2", "c1", "x")
        self.spread(everywhere)

    @rule(place=places, key=parents, text=texts)
    def write_new_parent(self, place, key, text):
        if key not in self.sites[place].family.shown("parent"):
            self.sites[place].family.add_parent(key)
            self.sites[place].family.note("parent", key, text)

    @rule(place=places, key=parents, boss=parents)
    def set_boss(self, place, key, boss):
        self.set_reference(place, "parent", key, "boss", boss)

    @rule(place=places, key=children, parent=parents)
    def write_new_child(self, place, key, parent):
        run = self.sites[place].family
        if parent in run.shown("parent") and key not in run.shown("child"):
            run.add_child(key, parent)

    @rule(place=places, key=children, parent=parents, column=st.sampled_from(["must", "may", "keep"]))
    def set_parent(self, place, key, parent, column):
        self.set_reference(place, "child", key, column, parent)

    @rule(place=places, key=children)
    def write_new_toy(self, place, key):
        run = self.sites[place].family
        if key in run.shown("child") and f"toy of {key}" not in run.shown("toy"):
            run.add_toy(f"toy of {key}", key)

    @rule(place=places, parent=parents, child=children, text=texts)
    def write_new_link(self, place, parent, child, text):
        run = self.sites[place].family
        if parent in run.shown("parent") and child in run.shown("child"):
            if not self.links(place, parent, child):
                run.add_link(parent, child, text)

    @rule(place=places, table=st.sampled_from(["parent", "child"]), key=parents | children, text=texts)
    def write_note(self, place, table, key, text):
        self.sites[place].family.note(table, key, text)

    @rule(place=places, key=children)
    def delete_child(self, place, key):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM child WHERE uuid = %s", key):
            run("DELETE FROM toy WHERE owner = %s", id_)
            run("DELETE FROM link WHERE child_id = %s", id_)
            run("DELETE FROM child WHERE id = %s", id_)

    @rule(place=places, key=parents)
    def delete_parent(self, place, key):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM parent WHERE uuid = %s", key):
            for (child,) in run.rows("SELECT uuid FROM child WHERE must = %s", id_):
                self.delete_child(place, child)
            run("DELETE FROM link WHERE parent_id = %s", id_)
            run("UPDATE child SET may = NULL WHERE may = %s", id_)
            run("UPDATE child SET keep = NULL WHERE keep = %s", id_)
            run("UPDATE parent SET boss = NULL WHERE boss = %s", id_)
            run("DELETE FROM parent WHERE id = %s", id_)

    @rule(place=places, key=parents, new=parents)
    def rename_parent(self, place, key, new):
        run = self.sites[place].family
        if new not in run.shown("parent"):
            run("UPDATE parent SET uuid = %s WHERE uuid = %s", new, key)

    def set_reference(self, place, table, key, column, parent):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM parent WHERE uuid = %s", parent):
            run(f"UPDATE {table} SET {column} = %s WHERE uuid = %s", id_, key)

    def links(self, place, parent, child):
        return self.sites[place].family.rows(
            "SELECT 1 FROM link l JOIN parent p ON p.id = l.parent_id JOIN child c ON c.id = l.child_id "
            "WHERE p.uuid = %s AND c.uuid = %s",
            parent,
            child,
        )


class SeedsMachine(SitesMachine):
    """Skills that each site seeds under keys of its own, joined by their names; grades below them."""

    may_stay_parked = frozenset(["reference"])
    judged = False

    @initialize()
    def begin(self):
        for place in range(2):
            self.write_skill(place, "x", None)
            self.write_grade(place, "x", None)

    @rule(place=places, name=names, text=texts)
    def write_skill(self, place, name, text):
        run = self.sites[place].family
        if not run("UPDATE skill SET note = %s WHERE name = %s", text, name):
            run("INSERT INTO skill (uuid, name) VALUES (%s, %s)", self.new_key(place, name), name)

    @rule(place=places, skill=names, text=texts)
    def write_grade(self, place, skill, text):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM skill WHERE name = %s", skill):
            if not run("UPDATE grade SET note = %s WHERE skill_id = %s", text, id_):
                key = self.new_key(place, f"grade {skill}")
                run("INSERT INTO grade (uuid, name, skill_id) VALUES (%s, 'one', %s)", key, id_)

    @rule(place=places, name=names)
    def delete_skill(self, place, name):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM skill WHERE name = %s", name):
            run("DELETE FROM grade WHERE skill_id = %s", id_)
            run("DELETE FROM skill WHERE id = %s", id_)

    def new_key(self, place, name):
        self.made = getattr(self, "made", 0) + 1
        return f"{self.made} {place} {name}"


def run_machine(machine, open_sites, examples, steps):
    """Run a machine; a failure says which seed runs it again in the same way."""
    chosen = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    machine = seed(chosen)(type(machine.__name__, (machine,), {"open_sites": staticmethod(open_sites)}))
    try:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    except BaseException as error:
        error.add_note(f"{SEED}={chosen} runs this again")
        raise

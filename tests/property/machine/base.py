"""Whole sites as one state machine: what people do, and all that can happen between sites.

It takes sites of any store: on real servers (``sites.Site``) or in memory (``memory.MemorySite``). After each
run everybody exchanges until it is quiet; then the sites show the same rows, which are those that the
ledger's plain rules give, nothing is lost without a record, a further round moves nothing, and what each
site knows of its rows is what its log says.
"""

import os
import random
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import permutations

from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from changecapture import pair
from changecapture.apply import retry
from changecapture.compact import compact
from changecapture.errors import PeerError
from changecapture.sync import answer, next_request, receive
from tests.support import memory
from tests.support.compare import compare_readers
from tests.support.interrupt import InterruptedStore
from tests.support.ledger import Ledger
from tests.support.memory import MemorySite
from tests.support.sites import AnySite, assert_sound_log, read_lives

SEED = "CHANGECAPTURE_TEST_SEED"
MINUTE = 60_000_000
COUNT = 3

places = st.integers(0, COUNT - 1)
columns = st.sampled_from(["a", "b"])
texts = st.sampled_from(["x", "y", ""]) | st.none()
CRASHES = (
    *("read_captured", "append_entries", "hold_rows", "write_versions", "write_passes", "write_progress"),
    *("insert_columns", "update_columns", "append_first", "append_next"),
)


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
    refusals: tuple[type[Exception], ...] = ()
    """What a batch may come to that is delivered without a greeting before it."""

    def __init__(self) -> None:
        super().__init__()
        self.sites = self.open_sites()
        self.clocks = [0] * len(self.sites)
        self.payloads: list[tuple[int, int, bytes]] = []
        self.ledger = Ledger()
        self.upgraded: set[int] = set()
        self.whole = True
        """Whether every log has every entry: nothing was given up by compaction."""
        self.lost = False
        """Whether a site has lost a part of its past."""

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
        with suppress(Crash, *self.refusals), self.both(source, to):
            receive(store, self.sites[source].origin, batch[2])

    def receive_beside(self, source, to, write):
        """The application writes in the middle of a pull, just before rows are locked; not where some were
        inserted by then: on a server it does not see them before they are committed."""
        site = self.sites[to]
        if source != to and isinstance(site, MemorySite):
            batch = self.make_batch(source, to, 20)
            before = site.dump_tables()

            def act():
                if site.dump_tables() == before:
                    with site.store.application():
                        write()

            with suppress(*self.refusals), self.both(source, to, beside=True):
                receive(InterruptedStore(site.store, "hold_rows", act), self.sites[source].origin, batch[2])

    @rule(place=places)
    def compact(self, place):
        """All that is overtaken goes, however young it is."""
        self.ledger.remember(self.sites[place])
        self.whole &= sum(step.removed for step in compact(self.sites[place].store, 0, anew=True)) == 0

    @rule(place=places)
    def try_parked_rows_again(self, place):
        self.set_times(place)
        with self.ledger.watching(self.sites[place]):
            retry(self.sites[place].store)

    @contextmanager
    def both(self, source, to, *, beside=False):
        """Let two sites exchange, each by its clock, perhaps ``beside`` the application of the second."""
        self.set_times(source)
        self.set_times(to)
        ledger, target = self.ledger, self.sites[to]
        with ledger.watching(self.sites[source]), ledger.watching(target, writes=beside):
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
        refusals = (PeerError,) if late else self.refusals
        with suppress(*refusals), self.both(source, to):
            receive(self.sites[to].store, self.sites[source].origin, payload)

    @invariant()
    def applier_is_not_captured_and_breaks_no_reference(self):
        for site in self.sites:
            if isinstance(site, MemorySite):
                assert site.store.query("PRAGMA foreign_key_check") == []

    @invariant()
    def nothing_is_set_aside(self):
        """The last net hides mistakes of ours: there are none that it could hide."""
        for site in self.sites:
            assert site.set_aside() == [], site.set_aside()

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
        for _ in range(8):
            before = [site.store.read_vector() for site in self.sites]
            moved = sum(self.pull(a, b) for a, b in permutations(self.sites, 2))
            for site in self.sites:
                retry(site.store)
            if not moved and before == [site.store.read_vector() for site in self.sites]:
                break
        assert moved == 0, "it does not come to rest"
        self.check()

    def check(self):
        first = self.sites[0]
        for site in self.sites:
            assert site.fetch("SELECT count(*) FROM {p}captured") == [(0,)]
            assert site.set_aside() == [], site.set_aside()
            assert site.parked() == first.parked()
            assert set(site.parked().values()) <= self.may_stay_parked
            assert_sound_log(site, whole=self.whole and not self.lost, present=read_lives(self.sites))
        if self.judged:
            self.judge()
        for other in self.sites[1:]:
            with first.reader() as ours, other.reader() as theirs:
                assert compare_readers(ours, theirs).differences == ()

    def judge(self):
        """Let the ledger say what must be shown and kept."""
        self.ledger.check(self.sites, whole=self.whole)


def run_machine(machine, open_sites, examples, steps):
    """Run a machine; a failure says which seed runs it again in the same way."""
    drawn = 1 if settings().derandomize else random.SystemRandom().randrange(2**32)
    chosen = int(os.environ.get(SEED) or drawn)
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

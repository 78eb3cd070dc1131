# mypy: untyped-calls-exclude=twisted
"""The world of one seed: five hosts, what goes wrong between them, and what must be so in the end."""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from random import Random
from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from relay.worker import DatabaseAway
from tests.support.compare import compare_readers
from tests.support.ledger import Ledger, LogLedger
from tests.support.simulation.application import write
from tests.support.simulation.clock import SimClock
from tests.support.simulation.host import Host, State
from tests.support.simulation.network import Network
from tests.support.sites import assert_sound_log, read_lives

TROUBLE_S = 5.0
TROUBLES_PER_S = 12.0
PEACE_S = 600.0
"""More than the longest back-off and a few rounds take."""
LOOK_S = 0.5
BREAK_S = 3.0
LONGEST_BACK_OFF_S = 70.0
STILL_S = 1.0
"""So long must nothing have moved."""
LONG_STILL_S = 12.0
"""The same where rows or references wait: they are tried again every 5 s, by a look every 5 s."""
HOUR = 3_600_000_000


@dataclass
class Simulation:
    """The world of one seed."""

    seed: int
    sites: int = 5
    clock: SimClock = field(default_factory=SimClock)
    ledger: Ledger = field(default_factory=Ledger)
    mistakes: list[str] = field(default_factory=list)
    """What the relays' code took for a mistake of its own, and what Twisted found that nobody handled;
    and what the last net caught."""
    peaceful: bool = False
    whole: bool = True
    """Whether every log has every entry: nothing was given up by compaction."""
    met: set[tuple[str, str]] = field(default_factory=set)
    """Who has heard whose greeting, since somebody looked."""
    judged: bool = True
    """Whether what was written must be there: no site lost a part of its past."""

    def __post_init__(self) -> None:
        self._observer = cast(Any, self._hear)  # mypy sees no zope interface in it
        globalLogPublisher.addObserver(self._observer)
        self.rng = Random(self.seed)
        self.network = Network(self)
        self.hosts = [Host(self, number) for number in range(self.sites)]
        self._copies = 0
        # Most worlds know no such trouble: only there the ledger can say what must be shown.
        self._compacts, self._loses = self.rng.random() < 0.5, self.rng.random() < 0.3
        self._connect()
        for host in self.hosts:
            host.skew = self.rng.choice((0, 0, 1, -1, 24 * 365)) * self.rng.randrange(HOUR)

    def _hear(self, event: dict[str, Any]) -> None:
        """Keep what Twisted logs of errors that nobody handled."""
        if event["log_level"] in (LogLevel.critical, LogLevel.error):
            failure = event.get("log_failure")
            self.mistakes.append(formatEvent(event) if failure is None else failure.getTraceback())

    def note_set_aside(self, host: Host) -> None:
        """Keep what the last net caught, which may be mended by itself later: there must be nothing."""
        self.mistakes += [f"{host.origin} set aside {what}" for what in host.site.set_aside()]

    def _connect(self) -> None:
        """Let everybody be reachable by some way, and some by several.

        Where a site may give names twice it meets everybody: only so it learns what both meant.
        """
        for number in range(1, self.sites):
            self._introduce(number, self.rng.randrange(number))
        for left, right in combinations(range(self.sites), 2):
            if self._loses or self.rng.random() < 0.3:
                self._introduce(left, right)

    def _introduce(self, left: int, right: int) -> None:
        """One of them may be unable to call the other: it is pushed to."""
        ways = "both" if self._loses else self.rng.choice(("both", "both", "left", "right"))
        if ways != "right" and right not in self.hosts[left].neighbours:
            self.hosts[left].neighbours.append(right)
        if ways != "left" and left not in self.hosts[right].neighbours:
            self.hosts[right].neighbours.append(left)

    def happens(self, chance: float) -> bool:
        """Return whether a piece of trouble comes now."""
        return not self.peaceful and self.rng.random() < chance

    # The course of events
    def run(self) -> None:
        """Trouble, then peace; then everything must be well."""
        run = self.hosts[0].site.family
        for parent in "pq":
            run.add_parent(parent)
        run.add_child("c", "p", may="q")
        for host in self.hosts:
            host.start()
        while self.clock.seconds() < TROUBLE_S:
            self.clock.pass_to(self.clock.seconds() + self.rng.expovariate(TROUBLES_PER_S))
            self._trouble()
        self.peaceful = True
        self.network.join()
        for host in self.hosts:
            host.start()
        self._settle()
        if not self.judged:
            self._meet_again()
        self.check()

    def _meet_again(self) -> None:
        """Let all greet once more: a name that a third had in another sense may have come between."""
        self.network.cut(self.network.all_pairs())
        self.clock.pass_to(self.clock.seconds() + BREAK_S)
        self.met.clear()
        self.network.join()
        end = self.clock.seconds() + LONGEST_BACK_OFF_S
        while len(self.met) < self.sites * (self.sites - 1) and self.clock.seconds() < end:
            self.clock.pass_to(self.clock.seconds() + LOOK_S)
        self._settle()

    def close(self) -> None:
        """Let go of the databases: what they hold, collecting garbage does not find."""
        globalLogPublisher.removeObserver(self._observer)
        for host in self.hosts:
            host.site.close()

    def _trouble(self) -> None:
        host = self.rng.choice(self.hosts)
        kinds: list[tuple[float, Callable[[], object]]] = [
            (0.75, lambda: write(self.rng, host.site)),
            (0.10, self.network.part),
            (0.10, host.crash),
            (0.05, lambda: self._turn_clock(host)),
        ]
        if self._compacts:
            kinds.append((0.12, lambda: self._compact(host)))
        if self._loses:
            kinds += [(0.10, host.back_up), (0.10, self._lose)]
        weights, events = zip(*kinds, strict=True)
        self.rng.choices(events, weights)[0]()

    def _turn_clock(self, host: Host) -> None:
        host.skew += self.rng.randrange(-HOUR, HOUR)

    def _compact(self, host: Host) -> None:
        """Let its relay do its upkeep now."""
        if host.relay is not None:
            Deferred.fromCoroutine(host.relay.compact()).addErrback(_expected)

    def _lose(self) -> None:
        """Let a site lose a part of its past, or all of it; its application goes on at once."""
        one_life = [host for host in self.hosts if host.lives == 1]
        backed_up = [host for host in self.hosts if host.has_backup]
        if one_life and self.rng.random() < 0.2:
            host = self.rng.choice(one_life)
            self._copies += 1
            source = self.rng.choice([other for other in self.hosts if other is not host])
            host.copy_from(source, f"{self._copies:032}")
        elif backed_up:
            host = self.rng.choice(backed_up)
            host.restore_backup(remembered=self.rng.random() < 0.3)
        else:
            return
        self.judged = False
        for _ in range(self.rng.randrange(6)):
            write(self.rng, host.site)

    def _settle(self) -> None:
        """Wait until all hold the same and nothing has moved for a while."""
        end = self.clock.seconds() + PEACE_S
        before, since = None, 0.0
        while self.clock.seconds() < end:
            self.clock.pass_to(self.clock.seconds() + LOOK_S)
            state = [host.state() for host in self.hosts]
            if state != before:
                before, since = state, self.clock.seconds()
            waiting = any(host.something_waits() for host in self.hosts)
            still = self.clock.seconds() - since >= (LONG_STILL_S if waiting else STILL_S)
            if still and _is_even(state):
                return
        raise AssertionError(f"it does not come to rest: {[one.vector for one in state]}")

    def check(self) -> None:
        """Fail unless every site shows, keeps and knows what it must."""
        gc.collect()
        assert self.mistakes == [], "\n".join(self.mistakes)
        sites = [host.site for host in self.hosts]
        ledger = self.ledger if self.judged else LogLedger()
        lives = read_lives(sites)
        for site in sites:
            site.store.load_tables()
            assert site.parked() == sites[0].parked()
            assert set(site.parked().values()) <= {"reference"}
            assert site.store.query("PRAGMA foreign_key_check") == []
            assert_sound_log(site, whole=self.whole and self.judged, present=lives)
        ledger.check(sites, whole=self.whole)
        for site in sites[1:]:
            with sites[0].reader() as ours, site.reader() as theirs:
                assert compare_readers(ours, theirs).differences == ()


def _expected(failure: Failure) -> None:
    """Take the end of an upkeep that its relay did not outlive."""
    failure.trap(CancelledError, DatabaseAway)


def _is_even(state: Sequence[State]) -> bool:
    """Return whether all hold the same and nothing waits to be published."""
    return all(one.vector == state[0].vector and not one.waits for one in state)

"""Pushing to a site that does not pull: when, what, and what ends it."""

from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from changecapture.core.scopes import Terms
from changecapture.errors import PeerError, RetryLater
from changecapture.sync import PullRequest
from relay.address import Address
from relay.load import Timing
from relay.polls import Polls
from relay.push import HOLD_S, Pusher
from tests.support.journal import FakeJournal
from tests.unit.relay_fake import FakeLog, FakePeers, FakeReactor, FakeSite, device_id, site_id

A, B, C = site_id("a"), site_id("b"), site_id("c")
DEVICE = device_id("d")
PATIENCE_S = Timing().patience_s


class FarSite:
    """The other end: takes pushes into a site in memory, or does what the test says."""

    def __init__(self) -> None:
        self.site = FakeSite(B)
        self.pushed: list[bytes] = []
        self.pulls = False
        self.outcomes: list[Exception | Deferred[None]] = []

    async def push(self, address: Address, device: str, site: str, exchange: str, payload: bytes) -> str:
        assert device == DEVICE
        self.pushed.append(payload)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            await outcome
        if self.pulls:
            return ""
        connection = self.site.open()
        if payload:
            connection.receive(A, payload)
        return connection.next_request(A).to_json()

    @property
    def carried(self) -> int:
        """How many pushes had a payload."""
        return sum(map(bool, self.pushed))


class NearDatabase:
    """Our side, without threads."""

    def __init__(self) -> None:
        self.exchange = FakeSite(A)
        self.connection = self.exchange.open()
        self.asked: list[PullRequest] = []

    async def answer(self, request: PullRequest, terms: Terms) -> Any:
        self.asked.append(request)
        return self.connection.answer(request)

    def write(self, *texts: str) -> None:
        self.exchange.write(*texts)
        while self.connection.publish():
            pass


class Fixture:
    def __init__(self) -> None:
        self.clock, self.log = FakeReactor(), FakeLog()
        self.polls = Polls(self.clock)
        self.journal = FakeJournal()
        self.far, self.database = FarSite(), NearDatabase()
        self.pusher = Pusher(
            Address("127.0.0.1", 1),
            own_site=A,
            peers=FakePeers({DEVICE}),  # type: ignore[arg-type]
            client=self.far,  # type: ignore[arg-type]
            database=self.database,  # type: ignore[arg-type]
            polls=self.polls,
            journal=self.journal,  # type: ignore[arg-type]
            timing=Timing(),
            clock=self.clock,
            rng=Random(1),
            log=self.log,
        )
        self.pusher.start(B, DEVICE)

    def wait(self) -> None:
        self.clock.advance(PATIENCE_S)

    def write(self, *texts: str, source: str | None = None) -> None:
        self.database.write(*texts)
        self.polls.tell(source)


def test_a_site_that_does_not_come_for_our_changes_gets_them():
    f = Fixture()
    f.write("one", "two")
    f.wait()
    assert f.far.site.texts == {"one", "two"}


def test_a_site_that_pulls_is_not_even_asked():
    f = Fixture()
    f.write("one")
    f.polls.open(B)
    for _ in range(5):
        f.wait()
    assert f.far.pushed == []


def test_a_site_that_says_that_it_pulls_gets_nothing():
    f = Fixture()
    f.write("one")
    f.far.pulls = True
    f.wait()
    assert f.far.pushed == [b""]


def test_a_backlog_arrives_in_pieces_each_after_the_last_was_acknowledged():
    f = Fixture()
    f.write(*(f"t{n}" for n in range(25)))
    asked: Deferred[None] = Deferred()
    first: Deferred[None] = Deferred()
    f.far.outcomes = [asked, first]
    f.wait()
    asked.callback(None)
    assert f.far.carried == 1
    first.callback(None)
    assert f.far.carried == 3 and len(f.far.site.texts) == 25


def test_news_is_pushed_at_once_without_asking_again():
    f = Fixture()
    f.wait()
    assert f.far.pushed == [b""]
    f.write("one")
    assert f.far.site.texts == {"one"}
    f.write("two")
    assert f.far.site.texts == {"one", "two"}
    assert len(f.far.pushed) == 3


def test_after_news_of_a_third_site_it_is_asked_what_it_has_by_now():
    f = Fixture()
    f.wait()
    f.write("one", source=C)
    assert [bool(p) for p in f.far.pushed] == [False, False, True]


def test_what_it_has_by_now_from_others_is_not_pushed():
    f = Fixture()
    f.wait()
    f.far.site.changelog.append((A, 1, "one"))
    f.write("one", source=C)
    assert f.far.pushed == [b"", b""]


def test_a_site_that_calls_by_itself_is_left_alone_from_then_on():
    f = Fixture()
    f.wait()
    theirs = f.polls.open(B)
    f.write("one")
    assert f.far.carried == 0
    f.wait()
    f.polls.close(theirs)
    f.wait()
    assert f.far.site.texts == {"one"}, "and pushed to again when it stays away"


def test_what_was_not_acknowledged_is_pushed_again_from_where_the_site_stands():
    f = Fixture()
    f.wait()
    f.far.outcomes = [RetryLater("no answer in time")]
    f.write("one")
    assert f.far.site.texts == set()
    f.clock.advance(60)
    f.wait()
    assert f.far.site.texts == {"one"}


def test_after_a_push_that_the_link_did_not_bear_less_is_pushed():
    f = Fixture()
    f.wait()
    f.far.outcomes = [RetryLater("gone")]
    f.write("one")
    f.clock.advance(60)
    f.wait()
    assert f.database.asked[-1].size < f.database.asked[0].size


def test_a_refusal_is_told_once_and_tried_less_and_less_often():
    f = Fixture()
    f.far.outcomes = [PeerError("no such method") for _ in range(100)]
    for _ in range(300):
        f.clock.advance(1)
    assert f.log.count("does not take what is pushed: no such method") == 1
    assert len(f.far.pushed) < 15


@pytest.mark.parametrize("seconds", [0.0, PATIENCE_S, PATIENCE_S + HOLD_S])
def test_a_stop_leaves_nothing_to_come(seconds: float):
    f = Fixture()
    f.clock.advance(seconds)
    f.pusher.stop()
    assert f.clock.getDelayedCalls() == [] and not f.polls.holds(B)


def test_a_mistake_of_ours_is_logged_and_does_not_end_the_pushing():
    f = Fixture()
    f.far.outcomes = [ZeroDivisionError("x")]
    f.write("one")
    f.wait()
    assert f.log.count("ZeroDivisionError") == 1
    f.clock.advance(60)
    f.wait()
    assert f.far.site.texts == {"one"}


def test_a_site_that_tells_what_another_lacks_is_refused():
    f = Fixture()
    f.far.site.id = C
    f.wait()
    assert f.log.count("not") == 1 and f.far.carried == 0


def test_a_site_that_was_pushed_to_is_not_waited_for_after_a_cut():
    f = Fixture()
    f.wait()
    f.write("one")
    f.pusher.stop()
    f.write("two")
    f.pusher.start(B, DEVICE)
    assert f.far.site.texts == {"one", "two"}


def test_what_was_pushed_is_noted_when_it_was_acknowledged():
    f = Fixture()
    f.write(*(f"t{n}" for n in range(15)))
    f.wait()
    assert [note[1:] for note in f.journal.notes] == [(B, "out", 10, False), (B, "out", 5, True)]
    assert len({note[0] for note in f.journal.notes}) == 1
    f.far.outcomes = [RetryLater("gone")]
    f.write("one")
    assert [failure[1:] for failure in f.journal.failures] == [(B, "out", "gone")]

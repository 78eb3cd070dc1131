"""A session made live: one thing at a time, and every way it can fail."""

import json
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from changecapture.core.scopes import Terms
from changecapture.errors import OutOfStep, PeerError, RetryLater
from changecapture.greeting import Greeting, Measured
from changecapture.sync import PullRequest, Received
from relay import messages
from relay.address import Address
from relay.card import Card
from relay.events import Poked, Started, State
from relay.load import Load, Timing
from relay.peer import DOUBT_S, POKE_S, Peer
from relay.pulls import AUTHOR_S, Pulls
from relay.session import LISTEN_S, MAX_WAIT_S, MIN_WAIT_S, Session
from relay.tasks import MORE_S, Tasks
from relay.worker import DatabaseAway
from tests.support.journal import FakeJournal
from tests.unit.relay_fake import (
    PAGE,
    FakeLog,
    FakeManners,
    FakePeers,
    FakeReactor,
    FakeSite,
    device_id,
    site_id,
)

A, B, C = site_id("a"), site_id("b"), site_id("c")
DEVICE, OTHER = device_id("d"), device_id("e")
HERE = Address("127.0.0.1", 1)


class ScriptedPeer:
    """The other side: each verb gives the next outcome of its list, or waits."""

    def __init__(self) -> None:
        self.site = FakeSite(B)
        self.calls: list[str] = []
        self.identified = 0
        self.asked: list[str] = []
        self.waits: list[int] = []
        self.held: Deferred[bytes] | None = None
        """The call that waits, if one does."""
        self.exchanges: list[str] = []
        self.outcomes: dict[str, list[Any]] = {}

    async def _next(self, verb: str) -> Any:
        self.calls.append(verb)
        coming = self.outcomes.get(verb, [])
        if not coming:
            self.held = Deferred()
        outcome = coming.pop(0) if coming else self.held
        if isinstance(outcome, Deferred):
            outcome = await outcome
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def identify(self, address: Address) -> str:
        self.identified += 1
        return DEVICE

    async def hello(
        self, address: Address, device: str, greeting: str, name: str, introduction: str
    ) -> tuple[str, str, str]:
        assert device in (DEVICE, FakePeers.own)
        return await self._next("hello")

    async def pull(self, address: Address, device: str, request: str, exchange: str, wait_s: int) -> bytes:
        self.exchanges.append(exchange)
        self.waits.append(wait_s)
        assert device == DEVICE
        self.asked.append(request)
        return await self._next("pull")

    async def poke(self, address: Address, device: str, site: str) -> None:
        assert device == DEVICE
        await self._next("poke")


class ScriptedDatabase:
    """Our side, without threads."""

    def __init__(self, site: FakeSite) -> None:
        self.exchange = site
        self.connection = site.open()
        self.fails: Exception | None = None
        self.receiving: list[Any] = []
        self.expected: list[bytes] = []
        self.met: list[tuple[str, int]] = []
        self.copies: list[str] = []

    async def note_copy(self, whose: str) -> None:
        self.copies.append(whose)

    async def meet(self, theirs: Greeting, measured: Measured) -> None:
        self.met.append((theirs.site, measured.took))

    async def greet(self, to: str = "") -> Greeting:
        if self.fails:
            raise self.fails
        return self.connection.greet(to)

    async def next_request(self, peer: str, terms: Terms, *, beside: bool = False) -> Any:
        return self.connection.next_request(peer)

    def expect(self, payload: bytes) -> None:
        self.expected.append(payload)

    async def receive(self, peer: str, payload: bytes, terms: Terms) -> Received:
        self.receiving.append(payload)
        return Received(3, 2, 1, True, brought=4)


class FakeWatch:
    def __init__(self) -> None:
        self.told: list[tuple[str, Received]] = []

    def received(self, peer: str, received: Received) -> None:
        self.told.append((peer, received))


class FakeLeaders:
    def __init__(self) -> None:
        self.leading: list[str] = []
        self.taken_sites: set[str] = set()

    def taken(self, site: str, address: Address) -> bool:
        return site in self.taken_sites

    def lead(self, site: str, address: Address) -> None:
        self.leading.append(site)

    def release(self, site: str, address: Address) -> None:
        self.leading.remove(site)


class FakePusher:
    def __init__(self) -> None:
        self.site: str | None = None

    def start(self, site: str, device: str) -> None:
        assert device == DEVICE
        self.site = site

    def stop(self) -> None:
        self.site = None


class Fixture:
    def __init__(self, device: str | None = None) -> None:
        self.clock, self.log = FakeReactor(), FakeLog()
        self.peers = FakePeers({DEVICE})
        self.other, self.database = ScriptedPeer(), ScriptedDatabase(FakeSite(A))
        self.speaks: set[str] = set()
        self.watch, self.leaders = FakeWatch(), FakeLeaders()
        self.pusher = FakePusher()
        self.journal = FakeJournal()
        self.session = Session(str(HERE), own_site=A, protocol=1, rng=Random(1))
        self.tasks = Tasks(
            HERE,
            card=Card("north"),
            own_site=A,
            device=device,
            peers=self.peers,  # type: ignore[arg-type]
            manners=FakeManners(),
            client=self.other,  # type: ignore[arg-type]
            database=self.database,  # type: ignore[arg-type]
            watch=self.watch,  # type: ignore[arg-type]
            pulls=Pulls(self.clock, lambda site: site in self.speaks),
            leaders=self.leaders,
            journal=self.journal,  # type: ignore[arg-type]
            timing=Timing(backlog=PAGE),
            clock=self.clock,
        )
        self.peer = Peer(
            self.session,
            self.tasks,
            self.pusher,  # type: ignore[arg-type]
            clock=self.clock,
            log=self.log,
        )

    def greeting(self, site: str = B) -> tuple[str, str, str]:
        return FakeSite(site).open().greet().to_json(), Card("south").to_json(), ""

    def say(self, payload: bytes | None) -> None:
        """Let the peer answer the call that it holds."""
        assert self.other.held is not None and payload is not None
        self.other.held.callback(payload)

    def meet(self) -> None:
        """Go on until the peer holds our poll."""
        self.other.outcomes |= {"hello": [self.greeting()], "pull": [b"one"]}
        self.peer.handle(Started())
        assert self.session.state is State.LISTENING


def test_a_whole_round_goes_by_itself():
    f = Fixture()
    f.meet()
    assert f.other.calls == ["hello", "pull", "pull"]
    assert f.database.receiving == [b"one"]
    assert f.watch.told == [(B, Received(3, 2, 1, True, brought=4))]
    assert f.peers.brought == {DEVICE: 4}
    assert f.leaders.leading == [B]
    assert f.log.lines[0] == ("info", "received 3 changes from south (applied 2, parked 1)")


def test_what_is_offered_is_asked_for_at_once_when_nobody_else_brings_it():
    f = Fixture()
    f.meet()
    f.other.outcomes["pull"] = [b"two"]
    f.say(messages.write_offer(json.dumps({C: 1})))
    assert f.other.waits == [0, LISTEN_S, 0, LISTEN_S]
    assert f.database.receiving == [b"one", b"two"]


def test_while_an_author_may_bring_what_is_offered_the_peer_is_listened_to_for_so_long():
    f = Fixture()
    f.speaks.add(C)
    f.meet()
    f.say(messages.write_offer(json.dumps({C: 1})))
    assert f.other.waits == [0, LISTEN_S, AUTHOR_S]
    assert json.loads(f.other.asked[-1])["heard"] == json.dumps({C: 1})
    f.clock.advance(AUTHOR_S)
    f.other.outcomes["pull"] = [b"two"]
    f.say(messages.ASK_NOW)
    assert f.other.waits == [0, LISTEN_S, AUTHOR_S, 0, LISTEN_S]


def test_an_offer_that_is_none_is_the_peers_fault():
    f = Fixture()
    f.meet()
    f.say(messages.OFFER + b"\xff")
    assert f.session.state is State.BACKING_OFF and f.log.count("answers wrongly: not an offer") == 1


@pytest.mark.parametrize(
    ("error", "level", "part"),
    [
        (RetryLater("no answer in time"), "warning", "cannot reach"),
        (PeerError("not a Binary"), "warning", "answers wrongly: not a Binary"),
        (ZeroDivisionError("x"), "failure", "ZeroDivisionError"),
    ],
)
def test_every_failure_is_told_and_waited_out(error, level, part):
    f = Fixture()
    f.other.outcomes["hello"] = [error]
    f.peer.handle(Started())
    assert f.session.state is State.BACKING_OFF
    assert f.log.lines[0][0] == level and part in f.log.lines[0][1]
    f.clock.advance(MIN_WAIT_S)
    assert f.other.calls == ["hello", "hello"]


def test_our_own_absent_database_is_not_the_peers_fault():
    f = Fixture()
    f.database.fails = DatabaseAway("away")
    f.peer.handle(Started())
    assert f.session.state is State.BACKING_OFF
    assert f.log.lines == [] and f.other.calls == []


def test_an_answer_that_is_no_greeting_is_the_peers_fault():
    f = Fixture()
    f.other.outcomes["hello"] = [("nonsense", "x", ""), (f.greeting("x")[0], "x", "")]
    f.peer.handle(Started())
    f.clock.advance(MIN_WAIT_S)
    assert f.log.count("answers wrongly") == 2


def test_a_site_that_is_led_elsewhere_is_not_even_called():
    f = Fixture()
    f.session.site = B
    f.leaders.taken_sites.add(B)
    f.peer.handle(Started())
    assert f.session.state is State.STANDING_BY and f.other.calls == []
    f.leaders.taken_sites.clear()
    f.peer.handle(Poked())
    assert f.other.calls == ["hello"]


def test_a_stop_ends_what_runs_and_leaves_nothing_to_come():
    for prepare in (Fixture.meet, lambda f: f.peer.handle(Started())):
        f = Fixture()
        prepare(f)
        f.peer.stop()
        assert f.session.state is State.STOPPED
        assert f.leaders.leading == [] and f.clock.getDelayedCalls() == []


def test_a_stop_out_of_a_release_leaves_nothing_to_come():
    f = Fixture()
    f.meet()
    f.leaders.release = lambda site, address: f.peer.stop()
    f.other.outcomes["pull"] = [RetryLater("gone")]
    f.peer._task.cancel()
    f.peer._begin(f.tasks.pull(B, 25))
    assert f.session.state is State.STOPPED
    assert f.clock.getDelayedCalls() == []


def test_a_poke_is_sent_at_most_once_a_second_and_only_to_a_peer_that_was_met():
    f = Fixture()
    f.peer.poke()
    f.meet()
    f.other.outcomes["poke"] = [None, PeerError("no site"), None]
    for _ in range(3):
        for _ in range(5):
            f.peer.poke()
        f.clock.advance(POKE_S)
    assert f.other.calls.count("poke") == 3
    assert f.session.state is State.LISTENING


def test_a_poke_that_nobody_hears_ends_the_poll_that_is_waited_for():
    f = Fixture()
    f.meet()
    f.other.outcomes["poke"] = [RetryLater("no answer in time")]
    f.peer.poke()
    assert f.session.state is State.BACKING_OFF and f.leaders.leading == []
    assert f.log.count("cannot reach") == 1


def test_what_it_has_is_pushed_from_the_greeting_until_the_failure():
    f = Fixture()
    f.meet()
    assert f.pusher.site == B
    f.peer.stop()
    assert f.pusher.site is None


def payload_of(*texts: str) -> list[bytes]:
    """Return the payloads by which another site answers, a page each."""
    theirs = FakeSite(B)
    theirs.write(*texts)
    connection = theirs.open()
    while connection.publish():
        pass
    request = FakeSite(A).open().next_request(B)
    found: list[bytes] = []
    following: PullRequest | None = request
    while following is not None:
        found.append(connection.answer(following).payload)
        following = theirs.follow_request(following, found[-1])
    return found


class SlowDatabase(ScriptedDatabase):
    """Receives when it is told to."""

    def __init__(self, site: FakeSite) -> None:
        super().__init__(site)
        self.outcomes: list[Deferred[Received]] = []

    async def receive(self, peer: str, payload: bytes, terms: Terms) -> Received:
        self.receiving.append(payload)
        self.outcomes.append(Deferred())
        return await self.outcomes[-1]


def start_of_answer(
    entries: int, pages: int, cancelled: Callable[[object], None] = lambda _: None
) -> tuple[Fixture, SlowDatabase, list[bytes], Deferred[bytes]]:
    """Return a peer that receives the first payload of an answer, and what will answer its next pull."""
    f = Fixture()
    f.database = f.tasks._database = SlowDatabase(FakeSite(A))  # type: ignore[assignment]
    made = payload_of(*map(str, range(entries)))
    assert len(made) == pages
    coming: Deferred[bytes] = Deferred(cancelled)
    f.other.outcomes |= {"hello": [f.greeting()], "pull": [made[0], coming]}
    f.peer.handle(Started())
    return f, f.database, made, coming


def start_of_long_answer(
    cancelled: Callable[[object], None] = lambda _: None,
) -> tuple[Fixture, SlowDatabase, list[bytes], Deferred[bytes]]:
    """Return the same of an answer of three payloads."""
    return start_of_answer(25, 3, cancelled)


def start_of_backlog() -> tuple[Fixture, SlowDatabase, list[bytes], Deferred[bytes]]:
    """Return the same of an answer of one payload, about a backlog."""
    return start_of_answer(10, 1)


def test_next_payload_is_asked_for_while_one_is_received():
    f, database, pages, coming = start_of_long_answer()
    assert f.session.state is State.APPLYING
    assert f.other.calls == ["hello", "pull", "pull"]
    coming.callback(pages[1])
    assert database.receiving == [pages[0]], "one payload at a time is received"
    assert database.expected == [pages[1]], "the next is read meanwhile"
    f.other.outcomes["pull"] = [pages[2]]
    database.outcomes[0].callback(Received(10, 10, 0, False))
    assert database.receiving == pages[:2]
    assert f.other.calls.count("pull") == 3
    database.outcomes[1].callback(Received(10, 10, 0, False))
    assert database.receiving == pages
    assert f.other.calls.count("pull") == 3, "nothing is asked for ahead of the last payload"
    database.outcomes[2].callback(Received(5, 5, 0, True))
    assert f.session.state is State.LISTENING
    assert f.other.calls.count("pull") == 4


def test_what_has_come_since_a_backlog_is_asked_for_while_its_last_payload_is_received():
    f, database, pages, coming = start_of_backlog()
    assert f.session.state is State.APPLYING
    assert f.other.waits == [0, MORE_S]
    assert json.loads(json.loads(f.other.asked[-1])["vector"]) == {B: 10}
    assert len(set(f.other.exchanges)) == 2, "another pull, another name in the journals"
    database.outcomes[0].callback(Received(10, 10, 0, True))
    assert f.session.state is State.LISTENING and f.other.calls.count("pull") == 2
    coming.callback(b"more")
    assert database.receiving == [pages[0], b"more"] and database.expected == [b"more"]


def test_what_is_offered_in_answer_to_a_pull_ahead_is_heard():
    f, database, _, coming = start_of_backlog()
    coming.callback(messages.write_offer(json.dumps({C: 1})))
    database.outcomes[0].callback(Received(10, 10, 0, True))
    assert f.other.waits == [0, MORE_S, 0], "asked for at once: nobody else brings it"


def test_pull_whose_last_payload_fails_is_the_one_that_is_broken():
    f, database, _, _ = start_of_backlog()
    database.outcomes[0].errback(DatabaseAway("restarting"))
    assert f.session.state is State.BACKING_OFF
    assert [exchange for exchange, *_ in f.journal.failures] == [f.other.exchanges[0]]


def test_payload_that_was_asked_for_ahead_is_dropped_when_receiving_fails():
    cancelled: list[object] = []
    f, database, _, _ = start_of_long_answer(cancelled.append)
    database.outcomes[0].errback(DatabaseAway("restarting"))
    assert f.session.state is State.BACKING_OFF
    assert len(cancelled) == 1
    f.other.outcomes |= {"hello": [f.greeting()], "pull": [b"anew"]}
    f.clock.advance(60)
    assert database.receiving[-1] == b"anew"


def test_pull_ahead_that_fails_is_the_failure_of_the_next_pull():
    f, database, _, coming = start_of_long_answer()
    coming.errback(RetryLater("no answer in time"))
    assert f.session.state is State.APPLYING
    database.outcomes[0].callback(Received(10, 10, 0, False))
    assert f.session.state is State.BACKING_OFF
    assert any("cannot reach" in text for _, text in f.log.lines)


def test_stop_while_a_pull_ahead_is_under_way():
    cancelled: list[object] = []
    f, _, _, _ = start_of_long_answer(cancelled.append)
    f.peer.stop()
    assert len(cancelled) == 1


def test_who_is_not_paired_is_told_nothing():
    f = Fixture()
    f.peers.paired.clear()
    f.peer.handle(Started())
    assert f.session.state is State.UNPAIRED
    assert f.other.identified == 1 and f.other.calls == []
    assert f.log.count("not paired: it is not spoken to") == 1


def test_who_was_paired_meanwhile_is_greeted_when_poked():
    f = Fixture()
    f.peers.paired.clear()
    f.peer.handle(Started())
    f.peers.paired.add(DEVICE)
    f.clock.advance(MIN_WAIT_S)
    f.peer.handle(Poked())
    assert f.other.calls == ["hello"]


def test_whoever_was_announced_is_called_without_asking_who_it_is():
    f = Fixture(DEVICE)
    f.peer.handle(Started())
    assert f.other.identified == 0 and f.other.calls == ["hello"]


def test_another_device_announced_at_the_address_is_the_one_to_be_spoken_to():
    f = Fixture(OTHER)
    f.peer.handle(Started())
    assert f.other.calls == []
    f.clock.advance(MIN_WAIT_S)
    f.peer.announce(DEVICE)
    assert f.other.calls == ["hello"] and f.peer.device == DEVICE


def test_a_device_that_says_it_is_the_site_of_another_is_not_believed():
    f = Fixture()
    f.peers.sites[B] = OTHER
    f.other.outcomes["hello"] = [f.greeting()]
    f.peer.handle(Started())
    assert f.leaders.leading == [] and f.log.count("another device speaks for this site") == 1


def test_a_payload_that_a_push_overtook_is_asked_for_anew():
    f, database, _, _ = start_of_long_answer()
    database.outcomes[0].errback(OutOfStep("it does not follow"))
    assert f.session.state is State.PULLING and f.other.calls.count("pull") == 3
    assert f.log.lines == []


def test_after_a_call_that_the_link_did_not_bear_less_is_asked_for():
    f = Fixture()
    f.other.outcomes |= {"hello": [f.greeting(), f.greeting()], "pull": [RetryLater("gone")]}
    f.peer.handle(Started())
    f.clock.advance(MIN_WAIT_S)
    assert f.other.calls.count("pull") == 2
    assert PullRequest(**json.loads(f.other.asked[0])).size == Load(Timing().aim_s).size
    assert PullRequest(**json.loads(f.other.asked[1])).size == Load(Timing().aim_s).size // 4


def test_doubt_breaks_off_what_runs_and_lets_another_address_try_but_not_all_the_time():
    f = Fixture()
    f.meet()
    f.peer.doubt()
    assert f.leaders.leading == [] and f.session.state is State.BACKING_OFF
    f.other.outcomes["hello"] = [f.greeting()]
    f.clock.advance(MIN_WAIT_S)
    assert f.leaders.leading == [B]
    f.peer.doubt()
    assert f.leaders.leading == [B]
    f.clock.advance(DOUBT_S)
    f.peer.doubt()
    assert f.leaders.leading == []


def test_a_pull_is_one_exchange_from_its_beginning_to_its_end():
    f, database, pages, coming = start_of_long_answer()
    f.other.outcomes["pull"] = [pages[2]]
    coming.callback(pages[1])
    for entries, last in ((10, False), (10, False), (5, True)):
        database.outcomes.pop(0).callback(Received(entries, entries, 0, last, entries))
    first, *others, listening = f.other.exchanges
    assert {first} == set(others) != {listening}
    assert f.journal.notes == [
        (first, B, "in", 10, False),
        (first, B, "in", 10, False),
        (first, B, "in", 5, True),
    ]


def test_a_pull_that_breaks_is_noted_with_what_broke_it():
    f = Fixture()
    f.other.outcomes |= {"hello": [f.greeting()], "pull": [RetryLater("the connection was lost")]}
    f.peer.handle(Started())
    assert f.journal.failures == [(f.other.exchanges[0], B, "in", "the connection was lost")]


def test_who_cannot_be_greeted_exchanges_nothing():
    f = Fixture()
    f.other.outcomes["hello"] = [RetryLater("refused")]
    f.peer.handle(Started())
    assert f.journal.failures == []


@pytest.mark.parametrize("run, copies", [("", []), ("another", [A])])
def test_who_answers_with_our_own_key_is_asked_whether_it_is_this_run(run, copies):
    f = Fixture(FakePeers.own)
    greeting = replace(FakeSite(A).open().greet(), run=run).to_json()
    f.other.outcomes["hello"] = [(greeting, Card("us").to_json(), "")]
    f.peer.handle(Started())
    assert f.database.copies == copies
    assert f.log.count("a copy of this machine answers at") == len(copies)
    assert f.session.state is State.REFUSED and f.leaders.leading == []


@pytest.mark.parametrize("error", [RetryLater("cut"), PeerError("not paired")])
def test_one_that_cannot_say_which_run_it_is_is_taken_for_this_site_itself(error):
    f = Fixture(FakePeers.own)
    f.other.outcomes["hello"] = [error]
    f.peer.handle(Started())
    assert f.database.copies == [] and f.log.count("is this site itself: not a peer") == 1


def test_a_copy_of_who_answers_is_noted():
    f = Fixture()
    greetings = [replace(FakeSite(B).open().greet(), run=run).to_json() for run in ("1", "2", "1")]
    f.other.outcomes["hello"] = [(text, Card("south").to_json(), "") for text in greetings]
    f.peer.handle(Started())
    for copies in ([], [B]):
        assert f.database.copies == []
        f.peer.greet_anew()
        f.clock.advance(MAX_WAIT_S)
        assert f.database.copies == copies

"""What other relays may call, and what nobody may do to the server."""

import json
import socket
import ssl
import xmlrpc.client
import zlib
from dataclasses import replace
from tempfile import NamedTemporaryFile
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from changecapture.core.scopes import Terms
from changecapture.errors import OutOfStep, PeerError, RetryLater
from changecapture.sync import PullRequest
from relay import messages
from relay.address import Address
from relay.calls import LONGEST_HOLD_S, Calls
from relay.card import Card, read_card
from relay.client import Client
from relay.door import MAX_PER_DEVICE, MAX_UNKNOWN_PER_HOST
from relay.meter import Meter
from relay.pace import BURST, Pace
from relay.polls import Polls
from relay.resource import Api, Server
from relay.runs import LATE_S
from relay.trust.desk import Desk
from relay.trust.identity import Identity
from relay.worker import DatabaseAway
from tests.support.journal import FakeJournal
from tests.unit.relay_fake import (
    FakeLog,
    FakeManners,
    FakePeers,
    FakeReactor,
    FakeSite,
    device_id,
    new_identity,
    result,
    site_id,
    write_pem,
)

A, B, C = site_id("a"), site_id("b"), site_id("c")
EXCHANGE = "e" * 32
SOUTH = Card("south", "Red Cross", "bob", "http://south").to_json()
DEVICE, OTHER = device_id("d"), device_id("e")


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the end, whatever the end is."""
    answer = b""
    try:
        while piece := connection.recv(65536):
            answer += piece
    except OSError:
        pass
    return answer


class Service:
    """The calls of a site without a network; ``DEVICE`` is paired."""

    def __init__(self, clock: Any) -> None:
        self.site = FakeSite(A)
        self.database = DirectDatabase(self.site)
        self.polls = Polls(clock)
        self.peers = FakePeers({DEVICE})
        self.heard: list[str] = []
        self.journal = FakeJournal()
        self.pulled: set[str] = set()
        self.received: list[tuple[str, int]] = []
        self.log = FakeLog()
        self.desk = Desk(own=self.peers.own, name="north", peers=self.peers, clock=clock)
        pace = Pace(clock)
        self.api = Api(desk=self.desk, peers=self.peers, pace=pace, log=self.log)
        self.api.calls = Calls(
            database=self.database,  # type: ignore[arg-type]
            polls=self.polls,
            pace=pace,
            bindings=self.peers,
            manners=FakeManners(),
            card=Card("north", contact="ann"),
            heard=self.heard.append,
            pulled=lambda site: site in self.pulled,
            received=lambda site, received: self.received.append((site, received.entries)),
            journal=self.journal,  # type: ignore[arg-type]
            clock=clock,
        )

    def open_desk(self, test: SynchronousTestCase) -> None:
        """Show a code, until the end of the test."""
        _, done = self.desk.open()
        done.addErrback(lambda _: None)
        test.addCleanup(self.desk.close)


def asks(site: str) -> str:
    """Return the request of a site that has nothing."""
    return FakeSite(site).open().next_request(A).to_json()


class DirectDatabase:
    """A Database without threads."""

    def __init__(self, site: FakeSite) -> None:
        self.exchange = site
        self.connection = site.open()
        self.answers = 0
        self.met: list[str] = []
        self.run = "own run"
        self.copies: list[str] = []
        self.coming: Deferred[None] | None = None
        self.fails: Exception | None = None

    async def meet(self, theirs: Any) -> None:
        self.met.append(theirs.site)

    async def note_copy(self, whose: str) -> None:
        self.copies.append(whose)

    async def greet(self, to: str = "") -> Any:
        try:
            return replace(self.connection.greet(to), run=self.run)
        except RetryLater as error:
            raise DatabaseAway(str(error)) from error

    async def answer(self, request: PullRequest, terms: Terms) -> Any:
        self.answers += 1
        if self.coming is not None:
            await self.coming
        return self.connection.answer(request)

    async def offer(self, request: PullRequest) -> Any:
        return self.connection.offer(request)

    async def next_request(self, peer: str, terms: Terms) -> PullRequest:
        return self.connection.next_request(peer)

    async def receive(self, peer: str, payload: bytes, terms: Terms) -> Any:
        if self.fails:
            raise self.fails
        return self.connection.receive(peer, payload)


class ApiTest(SynchronousTestCase):
    """The methods, without a network."""

    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.service = Service(self.clock)
        self.site, self.database = self.service.site, self.service.database
        self.polls, self.heard = self.service.polls, self.service.heard
        self.received, self.journal = self.service.received, self.service.journal
        self.peers, self.log, self.api = self.service.peers, self.service.log, self.service.api
        self.greet(B, DEVICE)

    def greet(self, site: str, device: str) -> None:
        """Let a device greet for a site, unheard."""
        result(self.call("hello", self.greeting(site), SOUTH, "", device=device))
        self.heard.clear()

    def call(self, method: str, *parameters: Any, device: str = DEVICE) -> Deferred[bytes]:
        body = messages.write_call(method, *parameters)
        return Deferred.fromCoroutine(self.api.answer(device, body))

    def greeting(self, site: str) -> str:
        return FakeSite(site).open().greet("").to_json()

    def publish(self, *texts: str) -> None:
        self.site.write(*texts)
        self.database.connection.publish()
        self.polls.tell(None)

    def texts(self, payload: bytes) -> list[str]:
        return [text for _, _, text in json.loads(zlib.decompress(payload))["entries"]]

    def test_hello_says_who_this_is_and_hears_who_called(self):
        text, card, _ = messages.read_greeting(result(self.call("hello", self.greeting(B), SOUTH, "")))
        assert (json.loads(text)["site"], read_card(card)) == (A, Card("north", contact="ann"))
        assert self.journal.instances == {B: read_card(SOUTH)}
        assert self.heard == [B] and self.database.met[-1] == B

    def test_nobody_else_is_this_site(self):
        with self.assertRaises(PeerError):
            messages.read_greeting(result(self.call("hello", self.greeting(A), SOUTH, "")))
        assert self.heard == [] and self.peers.sites == {B: DEVICE}

    def test_a_site_is_spoken_for_by_the_device_that_did_so_first(self):
        self.peers.paired.add(OTHER)
        self.greet(site_id("c"), OTHER)
        messages.read_done(result(self.call("poke", B)))
        for call in (("hello", self.greeting(B), SOUTH, ""), ("pull", asks(B), EXCHANGE, 0), ("poke", B)):
            with self.assertRaises(PeerError):
                messages.read_payload(result(self.call(*call, device=OTHER)))
        assert self.heard == [B]

    def test_who_has_not_greeted_since_there_is_something_new_to_tell_has_to_greet_first(self):
        for device in (DEVICE, None):
            self.api.calls.greet_anew(device)
            for call in (("pull", asks(B), EXCHANGE, 0), ("poke", B), ("push", B, EXCHANGE, b"")):
                with self.assertRaises(messages.GreetAnew):
                    messages.read_payload(result(self.call(*call)))
            self.greet(B, DEVICE)
            messages.read_payload(result(self.call("pull", asks(B), EXCHANGE, 0)))

    def test_a_copy_of_a_caller_is_noted_and_both_have_to_greet_to_be_told(self):
        def pull(run: str) -> bytes:
            request = replace(PullRequest(**json.loads(asks(B))), run=run).to_json()
            return messages.read_payload(result(self.call("pull", request, EXCHANGE, 0)))

        def hello(run: str) -> None:
            greeting = replace(FakeSite(B).open().greet(""), run=run).to_json()
            result(self.call("hello", greeting, SOUTH, ""))

        for run in ("1", "2"):
            with self.assertRaises(messages.GreetAnew):
                pull(run)
            hello(run)
        self.clock.advance(LATE_S + 1)
        pull("1")
        assert self.database.copies == []
        self.clock.advance(LATE_S + 1)
        for run in ("2", "1"):
            with self.assertRaises(messages.GreetAnew):
                pull(run)
        for run in ("2", "1"):
            hello(run)
            pull(run)
        assert self.database.copies == [B, B]

    def test_who_has_our_own_key_is_a_copy_of_us_unless_it_is_this_very_run(self):
        own = self.peers.own
        for site, run, copies in ((A, "own run", []), (A, "another", [A]), (B, "another", [A, A])):
            greeting = replace(FakeSite(site).open().greet(""), run=run).to_json()
            answer = messages.read_greeting(result(self.call("hello", greeting, SOUTH, "", device=own)))
            assert json.loads(answer[0])["run"] == "own run" and answer[2] == ""
            assert self.database.copies == copies
        assert self.database.met == [B] and self.peers.sites == {B: DEVICE}

    def test_who_has_our_own_key_may_greet_and_nothing_else(self):
        own = self.peers.own
        result(self.call("hello", self.greeting(A), SOUTH, "", device=own))
        for call in (
            ("pull", asks(A), EXCHANGE, 0),
            ("poke", A),
            ("push", A, EXCHANGE, b""),
            ("verify", "{}"),
        ):
            with self.assertRaisesRegex(PeerError, "not paired"):
                messages.read_payload(result(self.call(*call, device=own)))

    def test_a_poll_is_let_go_when_there_is_something_new_to_tell(self):
        pulling = self.call("pull", asks(B), EXCHANGE, 25)
        self.api.calls.greet_anew(DEVICE)
        assert messages.read_payload(result(pulling)) == b""

    def test_who_is_not_paired_gets_no_answer_but_to_a_pairing(self):
        self.service.open_desk(self)
        for call in (("hello", self.greeting(B), SOUTH, ""), ("pull", asks(B), EXCHANGE, 0), ("poke", B)):
            with self.assertRaises(PeerError) as caught:
                messages.read_payload(result(self.call(*call, device=OTHER)))
            assert "not paired" in str(caught.exception)
        assert self.heard == [] and self.database.answers == 0

    def test_who_was_unpaired_gets_no_further_answer(self):
        messages.read_done(result(self.call("poke", B)))
        self.peers.paired.clear()
        with self.assertRaises(PeerError):
            messages.read_done(result(self.call("poke", B)))

    def test_who_calls_without_end_waits_and_the_others_do_not(self):
        self.peers.paired.add(OTHER)
        self.greet(site_id("c"), OTHER)
        self.clock.advance(10)
        calls = [self.call("poke", B) for _ in range(BURST + 20)]
        assert sum(call.called for call in calls) == BURST
        assert self.call("poke", site_id("c"), device=OTHER).called
        self.clock.advance(1)
        assert all(call.called for call in calls)

    def test_one_call_of_a_device_at_a_time_is_with_the_database(self):
        coming = self.database.coming = Deferred()
        first, second = self.call("pull", asks(B), EXCHANGE, 0), self.call("pull", asks(B), EXCHANGE, 0)
        assert self.database.answers == 1
        self.database.coming = None
        coming.callback(None)
        assert first.called and second.called and self.database.answers == 2

    def test_a_poke_is_heard(self):
        messages.read_done(result(self.call("poke", B)))
        assert self.heard == [B]

    def test_what_there_is_is_answered_at_once(self):
        self.publish("one", "two")
        payload = messages.read_payload(result(self.call("pull", asks(B), EXCHANGE, 25)))
        assert self.texts(payload) == ["one", "two"]
        assert not self.polls.holds(B)

    def test_a_pull_that_does_not_wait_is_answered_with_an_empty_end(self):
        payload = messages.read_payload(result(self.call("pull", asks(B), EXCHANGE, 0)))
        assert payload and self.texts(payload) == []

    def test_a_long_poll_is_held_until_there_are_news(self):
        pulling = self.call("pull", asks(B), EXCHANGE, 25)
        self.assertNoResult(pulling)
        assert self.polls.holds(B)
        self.publish("one")
        assert self.texts(messages.read_payload(result(pulling))) == ["one"]
        assert not self.polls.holds(B)

    def test_news_of_a_third_site_are_offered_without_entries(self):
        pulling = self.call("pull", asks(B), EXCHANGE, 25)
        self.site.changelog.append((C, 1, "of C"))
        self.polls.tell(C)
        assert self.read_offer(pulling) == {C: 1}
        assert self.database.answers == 1

    def test_who_listens_and_lacks_a_third_sites_entries_is_offered_them(self):
        self.site.changelog.append((C, 1, "of C"))
        assert self.read_offer(self.call("pull", asks(B), EXCHANGE, 25)) == {C: 1}
        payload = messages.read_payload(result(self.call("pull", asks(B), EXCHANGE, 0)))
        assert self.texts(payload) == ["of C"]

    def test_what_was_heard_of_is_not_offered_again_and_own_news_let_ask_at_once(self):
        self.site.changelog.append((C, 1, "of C"))
        heard = replace(PullRequest(**json.loads(asks(B))), heard=json.dumps({C: 1})).to_json()
        pulling = self.call("pull", heard, EXCHANGE, 25)
        self.assertNoResult(pulling)
        self.publish("own")
        assert messages.read_payload(result(pulling)) == messages.ASK_NOW
        both = messages.read_payload(result(self.call("pull", heard, EXCHANGE, 25)))
        assert self.texts(both) == ["of C", "own"]

    def read_offer(self, pulling: Deferred[bytes]) -> Any:
        offer = messages.read_offer(messages.read_payload(result(pulling)))
        assert offer is not None
        return json.loads(offer)

    def test_a_long_poll_ends_with_an_answer_when_its_time_is_up(self):
        pulling = self.call("pull", asks(B), EXCHANGE, 25)
        self.clock.advance(25)
        assert self.texts(messages.read_payload(result(pulling))) == []

    def test_nobody_is_held_longer_than_the_bound(self):
        pulling = self.call("pull", asks(B), EXCHANGE, 2**31 - 1)
        self.clock.advance(LONGEST_HOLD_S)
        messages.read_payload(result(pulling))

    def test_a_caller_that_is_gone_is_held_no_longer(self):
        pulling = self.call("pull", asks(B), EXCHANGE, 25)
        pulling.cancel()
        self.failureResultOf(pulling)
        assert not self.polls.holds(B) and self.clock.getDelayedCalls() == []

    def push(self, payload: bytes) -> str:
        """Push a payload of site B; return what is answered."""
        return messages.read_wants(result(self.call("push", B, EXCHANGE, payload)))

    def payload(self, *texts: str) -> bytes:
        """Return what site B would push after it has written these."""
        theirs = FakeSite(B)
        theirs.write(*texts)
        connection = theirs.open()
        connection.publish()
        return connection.answer(FakeSite(A).open().next_request(B)).payload

    def test_who_pushes_is_told_what_is_lacking(self):
        assert self.push(b"") == asks(A)
        assert self.received == [] and self.heard == []

    def test_what_it_brings_that_nobody_knew_is_counted(self):
        self.push(self.payload("one", "two"))
        assert list(self.peers.brought.values()) == [2]

    def test_what_is_pushed_is_received_before_it_is_acknowledged(self):
        wants = PullRequest(**json.loads(self.push(self.payload("one", "two"))))
        assert self.site.texts == {"one", "two"} and json.loads(wants.vector) == {B: 2}
        assert self.received == [(B, 2)]

    def test_what_came_and_what_went_is_noted_under_the_uuid_of_its_caller(self):
        self.push(self.payload("one", "two"))
        self.publish("three")
        messages.read_payload(result(self.call("pull", asks(site_id("c")), "c" * 32, 0)))
        assert self.journal.notes == [
            (EXCHANGE, B, "in", 2, True),
            ("c" * 32, site_id("c"), "out", 3, True),
        ]

    def test_who_is_pulled_from_need_not_push(self):
        self.service.pulled = {B}
        assert self.push(self.payload("one")) == ""
        assert self.site.texts == set()

    def test_a_push_that_does_not_follow_is_answered_with_where_to_go_on(self):
        self.database.fails = OutOfStep("it came twice")
        assert self.push(self.payload("one")) == asks(A)
        assert self.received == []

    def test_a_push_that_makes_no_sense_is_a_fault(self):
        with self.assertRaises(PeerError):
            self.push(b"nonsense")

    def test_nonsense_is_a_fault_that_says_why(self):
        for call in (
            ("hello", "nonsense", SOUTH, ""),
            ("hello", self.greeting("x"), SOUTH, ""),
            ("pull", "nonsense", EXCHANGE, 0),
            ("pull", asks("b"), EXCHANGE, 0),
            ("poke", ""),
            ("hello", self.greeting(B), "no card", ""),
            ("push", "b", EXCHANGE, b""),
            ("push", B, "an exchange", b""),
            ("pull", asks(B), "an exchange", 0),
        ):
            with self.assertRaises(PeerError):
                messages.read_payload(result(self.call(*call)))
        assert self.log.lines == [] and self.heard == []

    def test_an_absent_database_is_a_fault_that_says_later_and_no_more(self):
        self.site.away = True
        with self.assertRaises(RetryLater) as caught:
            messages.read_greeting(result(self.call("hello", self.greeting(B), SOUTH, "")))
        assert "refused" not in str(caught.exception)

    def test_a_mistake_is_logged_here_and_not_told_there(self):
        self.site.check = lambda: 1 / 0
        with self.assertRaises(PeerError) as caught:
            messages.read_payload(result(self.call("pull", asks(B), EXCHANGE, 0)))
        assert "division" not in str(caught.exception)
        assert self.log.count("ZeroDivisionError") == 1
        del self.site.check
        messages.read_payload(result(self.call("pull", asks(B), EXCHANGE, 0)))

    def test_more_polls_than_the_bound_are_told_to_come_later(self):
        self.polls._limit = 1
        self.call("pull", asks(B), EXCHANGE, 25)
        with self.assertRaises(RetryLater):
            messages.read_payload(result(self.call("pull", asks(site_id("c")), EXCHANGE, 25)))


class ServerTest(TestCase):
    """The server on a port, called by the standard library and by raw bytes."""

    timeout = 30

    def setUp(self) -> None:
        self.service = Service(reactor)
        self.site, self.polls, self.peers = self.service.site, self.service.polls, self.service.peers
        self.here, self.caller = new_identity(), new_identity()
        self.peers.paired = {self.caller.device}
        self.meter = Meter()
        self.server = Server(
            self.service.api,
            identity=self.here,
            peers=self.peers,
            desk=self.service.desk,
            meter=self.meter,
            reactor=reactor,
        )
        self.port = self.server.listen("127.0.0.1", 0)
        greeting = messages.write_call("hello", FakeSite(B).open().greet().to_json(), SOUTH, "")
        result(self.service.api.answer(self.caller.device, greeting))
        self.service.heard.clear()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.close()))

    def connect(self, caller: Identity | None = None) -> ssl.SSLSocket:
        """Return a connection of a device, the handshake done as far as this end can see."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return self.context(caller or self.caller).wrap_socket(plain)

    def context(self, caller: Identity | None = None) -> ssl.SSLContext:
        """Return what the standard library needs to be a device."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with NamedTemporaryFile() as pem:
            pem.write(write_pem(caller or self.caller))
            pem.flush()
            context.load_cert_chain(pem.name)
        return context

    def talk(self, raw: bytes, *, last: bool = True, caller: Identity | None = None) -> Deferred[bytes]:
        """Send bytes in a thread; return what comes back until the other end closes.

        ``last``: say that nothing follows, and hear no more.
        """

        def speak() -> bytes:
            answer = b""
            with self.connect(caller) as s:
                try:
                    s.sendall(raw)
                    if last:
                        s.unwrap()
                    while piece := s.recv(65536):
                        answer += piece
                except OSError:
                    pass
            return answer

        return deferToThread(speak)

    def post(self, body: bytes, *headers: bytes, caller: Identity | None = None) -> Deferred[bytes]:
        lines = [
            b"POST /RPC2 HTTP/1.1",
            b"Host: any",
            b"Connection: close",
            *(headers or (b"Content-Type: text/xml", b"Content-Length: %d" % len(body))),
        ]
        return self.talk(b"\r\n".join(lines) + b"\r\n\r\n" + body, last=False, caller=caller)

    @inlineCallbacks
    def still_serves(self):
        answer = yield self.post(messages.write_call("poke", B))
        assert b"200 OK" in answer and b"<boolean>1" in answer

    @inlineCallbacks
    def test_any_xml_rpc_client_can_call_it(self):
        def call() -> Any:
            address = f"https://127.0.0.1:{self.port}/RPC2"
            with xmlrpc.client.ServerProxy(address, context=self.context()) as proxy:
                return proxy.pull(asks(B), EXCHANGE, 0)

        payload = yield deferToThread(call)
        assert json.loads(zlib.decompress(payload.data))["last"] is True

    @inlineCallbacks
    def test_what_goes_over_the_wire_is_counted_alike_at_both_ends(self):
        here, there = self.here.device, Meter()
        client = Client(reactor, identity=self.caller, is_paired={here}.__contains__, meter=there)
        for _ in range(3):
            yield Deferred.fromCoroutine(client.poke(Address("127.0.0.1", self.port), here, B))
        ours, theirs = self.meter.of(self.caller.device), there.of(here)
        yield Deferred.fromCoroutine(client.close())
        assert (ours.sent, ours.received, ours.connections) == (theirs.received, theirs.sent, 1)
        assert theirs.sent > 3 * len(messages.write_call("poke", B)) and theirs.connections == 1

    @inlineCallbacks
    def test_a_device_that_is_not_paired_gets_no_answer(self):
        body = messages.write_call("poke", B)
        stranger = new_identity()
        assert (yield self.post(body, caller=stranger)) == b""
        self.service.open_desk(self)
        answer = yield self.post(body, caller=stranger)
        assert b"200 OK" in answer and b"not paired" in answer and self.service.heard == []

    @inlineCallbacks
    def test_a_device_without_a_certificate_gets_no_answer(self):
        def speak() -> bytes:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            try:
                with context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 10)) as s:
                    s.sendall(b"POST /RPC2 HTTP/1.1\r\nHost: x\r\n\r\n")
                    return s.recv(1)
            except OSError:
                return b""

        self.service.open_desk(self)
        assert (yield deferToThread(speak)) == b""

    @inlineCallbacks
    def test_what_is_older_than_tls_1_3_is_refused(self):
        def speak() -> str:
            context = self.context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            try:
                context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 10))
            except ssl.SSLError as error:
                return str(error)
            return ""

        assert "protocol version" in (yield deferToThread(speak)).lower().replace("_", " ")

    @inlineCallbacks
    def test_who_is_unpaired_is_cut_at_once_in_the_middle_of_a_poll(self):
        body = messages.write_call("pull", asks(B), EXCHANGE, 60)
        coming = self.post(body)
        while not self.polls.holds(B):
            yield deferToThread(lambda: None)
        self.peers.paired.clear()
        self.server.door.forget(self.caller.device)
        assert (yield coming) == b""
        assert not self.polls.holds(B)

    @inlineCallbacks
    def test_who_is_unpaired_gets_no_answer_on_a_connection_that_it_has(self):
        connection = yield deferToThread(self.connect)
        while not self.server.door.count(self.caller.device):
            yield deferToThread(lambda: None)
        self.peers.paired.clear()

        def speak() -> bytes:
            body = messages.write_call("poke", B)
            head = b"POST /RPC2 HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\n"
            connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer

        answer = yield deferToThread(speak)
        connection.close()
        assert answer.startswith(b"HTTP/1.1 403") and self.service.heard == []

    @inlineCallbacks
    def test_connections_without_a_handshake_are_few_and_make_room_for_others(self):
        idle = [socket.create_connection(("127.0.0.1", self.port)) for _ in range(MAX_UNKNOWN_PER_HOST)]
        while self.server.door.count_unknown() < len(idle):
            yield deferToThread(lambda: None)
        yield self.still_serves()
        idle[0].settimeout(10)
        assert (yield deferToThread(read_all, idle[0])) == b""
        for connection in idle:
            connection.close()
        while self.server.door.count_unknown():
            yield deferToThread(lambda: None)
        yield self.still_serves()

    @inlineCallbacks
    def test_a_connection_too_many_of_one_device_ends_its_oldest(self):
        held = []
        for number in range(MAX_PER_DEVICE + 1):
            held.append((yield deferToThread(self.connect)))
            while self.server.door.count(self.caller.device) < min(number + 1, MAX_PER_DEVICE):
                yield deferToThread(lambda: None)
        assert (yield deferToThread(read_all, held[0])) == b""
        assert self.server.door.count(self.caller.device) == MAX_PER_DEVICE
        for connection in held:
            connection.close()

    @inlineCallbacks
    def test_a_body_of_who_is_not_paired_is_small(self):
        self.service.open_desk(self)
        length = b"Content-Length: %d" % (messages.STRANGER_LIMIT + 1)
        answer = yield self.post(b"", b"Content-Type: text/xml", length, caller=new_identity())
        assert answer.startswith(b"HTTP/1.1 413")

    @inlineCallbacks
    def test_a_body_above_the_limit_is_refused_unread(self):
        length = b"Content-Length: %d" % (messages.BODY_LIMIT + 1)
        answer = yield self.post(b"", b"Content-Type: text/xml", length)
        assert answer.startswith(b"HTTP/1.1 413")
        yield self.still_serves()

    @inlineCallbacks
    def test_a_body_of_unknown_length_is_refused(self):
        answer = yield self.post(
            b"5\r\nhello\r\n0\r\n\r\n", b"Content-Type: text/xml", b"Transfer-Encoding: chunked"
        )
        assert answer.startswith(b"HTTP/1.1 413") and answer.count(b"HTTP/1.1") == 1
        yield self.still_serves()

    @inlineCallbacks
    def test_only_a_post_of_xml_is_a_call(self):
        body = messages.write_call("poke", B)
        length = b"Content-Length: %d" % len(body)
        answer = yield self.post(body, b"Content-Type: text/plain", length)
        assert answer.startswith(b"HTTP/1.1 415")
        answer = yield self.talk(b"GET /RPC2 HTTP/1.0\r\n\r\n", last=False)
        assert answer.startswith(b"HTTP/1.0 405")

    @inlineCallbacks
    def test_nonsense_does_not_stop_the_server(self):
        for raw in (b"", b"\x00" * 1000, b"GET / HTTP/1.1\r\n\r\n", b"POST /RPC2 HTTP/9\r\n\r\n"):
            yield self.talk(raw)
        for body in (b"", b"<methodCall>", b"\xff" * 1000):
            answer = yield self.post(body)
            assert b"faultCode" in answer
        yield self.still_serves()

    @inlineCallbacks
    def test_a_poll_whose_connection_is_gone_is_forgotten(self):
        connection = yield deferToThread(self.connect)
        with connection as s:
            body = messages.write_call("pull", asks(B), EXCHANGE, 60)
            s.sendall(
                b"POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Type: text/xml\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            while not self.polls.holds(B):
                yield deferToThread(lambda: None)
        while self.polls.holds(B):
            yield deferToThread(lambda: None)

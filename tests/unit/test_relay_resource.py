"""What other relays may call, and what nobody may do to the server."""

import json
import socket
import xmlrpc.client
import zlib
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from changecapture.errors import OutOfStep, PeerError, RetryLater
from changecapture.sync import PullRequest
from relay import messages
from relay.database import DatabaseAway
from relay.polls import Polls
from relay.resource import LONGEST_HOLD_S, Api, BoundedRequest, Server
from tests.unit.relay_fake import FakeLog, FakeReactor, FakeSite, result, site_id

A, B = site_id("a"), site_id("b")


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
        self.fails: Exception | None = None

    async def meet(self, theirs: Any) -> None:
        self.met.append(theirs.site)

    async def greet(self, to: str) -> Any:
        try:
            return self.connection.greet(to)
        except RetryLater as error:
            raise DatabaseAway(str(error)) from error

    async def answer(self, request: PullRequest) -> Any:
        self.answers += 1
        return self.connection.answer(request)

    async def next_request(self, peer: str) -> PullRequest:
        return self.connection.next_request(peer)

    async def receive(self, peer: str, payload: bytes) -> Any:
        if self.fails:
            raise self.fails
        return self.connection.receive(peer, payload)


class ApiTest(SynchronousTestCase):
    """The methods, without a network."""

    def setUp(self) -> None:
        self.site = FakeSite(A)
        self.database = DirectDatabase(self.site)
        self.polls = Polls()
        self.heard: list[str] = []
        self.pulled: set[str] = set()
        self.received: list[tuple[str, int]] = []
        self.clock = FakeReactor()
        self.log = FakeLog()
        self.api = Api(
            database=self.database,  # type: ignore[arg-type]
            polls=self.polls,
            name="north",
            heard=self.heard.append,
            pulled=lambda site: site in self.pulled,
            received=lambda site, received: self.received.append((site, received.entries)),
            clock=self.clock,
            log=self.log,
        )

    def call(self, method: str, *parameters: Any) -> Deferred[bytes]:
        body = messages.write_call(method, *parameters)
        return Deferred.fromCoroutine(self.api.answer(body))

    def greeting(self, site: str) -> str:
        return FakeSite(site).open().greet("").to_json()

    def publish(self, *texts: str) -> None:
        self.site.write(*texts)
        self.database.connection.publish()
        self.polls.tell(None)

    def texts(self, payload: bytes) -> list[str]:
        return [text for _, _, text in json.loads(zlib.decompress(payload))["entries"]]

    def test_hello_says_who_this_is_and_hears_who_called(self):
        text, name = messages.read_greeting(result(self.call("hello", self.greeting(B), "south")))
        assert (json.loads(text)["site"], name) == (A, "north")
        assert self.heard == self.database.met == [B]

    def test_a_hello_of_our_own_wakes_nobody(self):
        messages.read_greeting(result(self.call("hello", self.greeting(A), "me")))
        assert self.heard == []

    def test_a_poke_is_heard(self):
        messages.read_done(result(self.call("poke", B)))
        assert self.heard == [B]

    def test_what_there_is_is_answered_at_once(self):
        self.publish("one", "two")
        payload = messages.read_payload(result(self.call("pull", asks(B), 25)))
        assert self.texts(payload) == ["one", "two"]
        assert not self.polls.holds(B)

    def test_a_pull_that_does_not_wait_is_answered_with_an_empty_end(self):
        payload = messages.read_payload(result(self.call("pull", asks(B), 0)))
        assert payload and self.texts(payload) == []

    def test_a_long_poll_is_held_until_there_are_news(self):
        pulling = self.call("pull", asks(B), 25)
        self.assertNoResult(pulling)
        assert self.polls.holds(B)
        self.publish("one")
        assert self.texts(messages.read_payload(result(pulling))) == ["one"]
        assert not self.polls.holds(B)

    def test_news_of_a_third_site_send_no_entries(self):
        pulling = self.call("pull", asks(B), 25)
        self.polls.tell(site_id("c"))
        assert messages.read_payload(result(pulling)) == b""
        assert self.database.answers == 1

    def test_a_long_poll_ends_with_an_answer_when_its_time_is_up(self):
        pulling = self.call("pull", asks(B), 25)
        self.clock.advance(25)
        assert self.texts(messages.read_payload(result(pulling))) == []

    def test_nobody_is_held_longer_than_the_bound(self):
        pulling = self.call("pull", asks(B), 2**31 - 1)
        self.clock.advance(LONGEST_HOLD_S)
        messages.read_payload(result(pulling))

    def test_a_caller_that_is_gone_is_held_no_longer(self):
        pulling = self.call("pull", asks(B), 25)
        pulling.cancel()
        self.failureResultOf(pulling)
        assert not self.polls.holds(B) and self.clock.getDelayedCalls() == []

    def push(self, payload: bytes) -> str:
        """Push a payload of site B; return what is answered."""
        return messages.read_wants(result(self.call("push", B, payload)))

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

    def test_what_is_pushed_is_received_before_it_is_acknowledged(self):
        wants = PullRequest(**json.loads(self.push(self.payload("one", "two"))))
        assert self.site.texts == {"one", "two"} and json.loads(wants.vector) == {B: 2}
        assert self.received == [(B, 2)]

    def test_who_is_pulled_from_need_not_push(self):
        self.pulled = {B}
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
            ("hello", "nonsense", "x"),
            ("hello", self.greeting("x"), "x"),
            ("pull", "nonsense", 0),
            ("pull", asks("b"), 0),
            ("poke", ""),
            ("push", "b", b""),
        ):
            with self.assertRaises(PeerError):
                messages.read_payload(result(self.call(*call)))
        assert self.log.lines == [] and self.heard == []

    def test_an_absent_database_is_a_fault_that_says_later_and_no_more(self):
        self.site.away = True
        with self.assertRaises(RetryLater) as caught:
            messages.read_greeting(result(self.call("hello", self.greeting(B), "x")))
        assert "refused" not in str(caught.exception)

    def test_a_mistake_is_logged_here_and_not_told_there(self):
        self.site.check = lambda: 1 / 0
        with self.assertRaises(PeerError) as caught:
            messages.read_payload(result(self.call("pull", asks(B), 0)))
        assert "division" not in str(caught.exception)
        assert self.log.count("ZeroDivisionError") == 1
        del self.site.check
        messages.read_payload(result(self.call("pull", asks(B), 0)))

    def test_more_polls_than_the_bound_are_told_to_come_later(self):
        self.polls._limit = 1
        self.call("pull", asks(B), 25)
        with self.assertRaises(RetryLater):
            messages.read_payload(result(self.call("pull", asks(site_id("c")), 25)))


class ServerTest(TestCase):
    """The server on a port, called by the standard library and by raw bytes."""

    timeout = 30

    def setUp(self) -> None:
        self.polls = Polls()
        self.site = FakeSite(A)
        api = Api(
            database=DirectDatabase(self.site),  # type: ignore[arg-type]
            polls=self.polls,
            name="north",
            heard=lambda _: None,
            pulled=lambda _: False,
            received=lambda *_: None,
            clock=reactor,
            log=FakeLog(),
        )
        self.server = Server(api, reactor)
        self.port = self.server.listen("127.0.0.1", 0)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.close()))

    def talk(self, raw: bytes, *, last: bool = True) -> Deferred[bytes]:
        """Send bytes in a thread; return what comes back until the other end closes.

        ``last``: say that nothing follows, so that it closes whatever it thinks of them.
        """

        def speak() -> bytes:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
                s.sendall(raw)
                if last:
                    s.shutdown(socket.SHUT_WR)
                answer = b""
                while piece := s.recv(65536):
                    answer += piece
                return answer

        return deferToThread(speak)

    def post(self, body: bytes, *headers: bytes, host: bytes = b"127.0.0.1:1") -> Deferred[bytes]:
        lines = [
            b"POST /RPC2 HTTP/1.1",
            b"Host: " + host,
            b"Connection: close",
            *(headers or (b"Content-Type: text/xml", b"Content-Length: %d" % len(body))),
        ]
        return self.talk(b"\r\n".join(lines) + b"\r\n\r\n" + body, last=False)

    @inlineCallbacks
    def still_serves(self):
        answer = yield self.post(messages.write_call("poke", B))
        assert b"200 OK" in answer and b"<boolean>1" in answer

    @inlineCallbacks
    def test_any_xml_rpc_client_can_call_it(self):
        def call() -> Any:
            with xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self.port}/RPC2") as proxy:
                return proxy.pull(asks(B), 0)

        payload = yield deferToThread(call)
        assert json.loads(zlib.decompress(payload.data))["last"] is True

    @inlineCallbacks
    def test_a_body_above_the_limit_is_refused_unread(self):
        length = b"Content-Length: %d" % (BoundedRequest.limit + 1)
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
    def test_a_web_page_cannot_call_it(self):
        body = messages.write_call("poke", B)
        length = b"Content-Length: %d" % len(body)
        answer = yield self.post(body, b"Content-Type: text/plain", length)
        assert answer.startswith(b"HTTP/1.1 415")
        answer = yield self.post(body, host=b"evil.example.org:80")
        assert answer.startswith(b"HTTP/1.1 403")
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
        with socket.create_connection(("127.0.0.1", self.port)) as s:
            body = messages.write_call("pull", asks(B), 60)
            s.sendall(
                b"POST /RPC2 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Type: text/xml\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            while not self.polls.holds(B):
                yield deferToThread(lambda: None)
        while self.polls.holds(B):
            yield deferToThread(lambda: None)

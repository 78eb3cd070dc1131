"""Calls are bounded in time and size, and their connection is kept."""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import ResponseDone

from changecapture.errors import PeerError, RetryLater
from relay import messages
from relay.address import Address
from relay.client import SHORT_S, Client
from relay.meter import Meter
from relay.transfer import PIECE_BYTES, SILENCE_S, Body
from relay.trust.tls import Contexts
from tests.unit.relay_fake import FakeReactor, new_identity, result

SITE = "a" * 32
EXCHANGE = "e" * 32


class Scripted(Protocol):
    """Answers every request with what the test gave."""

    def dataReceived(self, data: bytes) -> None:
        if data.rstrip().endswith(b"</methodCall>"):
            self.factory.requests += 1
            self.factory.answer(self.transport)

    def connectionLost(self, reason: Any = None) -> None:
        self.factory.lost.append(self)


class Deaf(Protocol):
    """Speaks something else."""

    def connectionMade(self) -> None:
        self.transport.write(b"220 mail ready\r\n")
        self.transport.loseConnection()


class ClientTest(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.here, self.there = new_identity(), new_identity()
        self.device = self.there.device
        self.paired = {self.device}
        self.meter = Meter()
        self.client = Client(
            reactor,
            identity=self.here,
            is_paired=self.paired.__contains__,
            meter=self.meter,
            body_limit=10_000,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(self.client.close()))

    def serve(self, answer: Callable[[Any], None]) -> Address:
        """Open a port that gives this answer; it is closed with all its connections."""
        self.factory = factory = Factory.forProtocol(Scripted)
        factory.requests, factory.connections, factory.answer = 0, [], answer
        factory.lost = []
        build = factory.buildProtocol

        def remember(address: Any) -> Any:
            factory.connections.append(build(address))
            return factory.connections[-1]

        factory.buildProtocol = remember
        contexts = Contexts(self.there, lambda device: device == self.here.device)
        tls = TLSMemoryBIOFactory(contexts, False, factory)
        port = reactor.listenTCP(0, tls, interface="127.0.0.1")

        def close() -> Any:
            for connection in factory.connections:
                if connection not in factory.lost:
                    connection.transport.abortConnection()
            return port.stopListening()

        self.addCleanup(close)
        return Address("127.0.0.1", port.getHost().port)

    def serve_body(self, body: bytes, status: bytes = b"200 OK") -> Address:
        head = b"HTTP/1.1 " + status + b"\r\nContent-Length: %d\r\n\r\n" % len(body)
        return self.serve(lambda transport: transport.write(head + body))

    def fails(self, work: Any, error: type[Exception]) -> Deferred[Any]:
        return self.assertFailure(Deferred.fromCoroutine(work), error)

    async def test_calls_to_one_peer_share_a_connection(self):
        address = self.serve_body(messages.write_answer(b"payload"))
        for _ in range(5):
            assert await self.client.pull(address, self.device, "{}", EXCHANGE, 0) == b"payload"
        assert (self.factory.requests, len(self.factory.connections)) == (5, 1)

    async def test_nobody_there_is_for_later(self):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            address = Address(*unused.getsockname())
            # Bound, not listening: nobody else can take the port meanwhile.
            error = await self.fails(self.client.poke(address, self.device, SITE), RetryLater)
        assert "refused" in str(error) and "\n" not in str(error)

    async def test_a_peer_that_hangs_up_is_for_later(self):
        address = self.serve(lambda transport: transport.loseConnection())
        await self.fails(self.client.poke(address, self.device, SITE), RetryLater)

    async def test_an_answer_that_is_cut_is_for_later(self):
        def cut(transport: Any) -> None:
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            transport.loseConnection()

        await self.fails(self.client.poke(self.serve(cut), self.device, SITE), RetryLater)

    async def test_an_answer_above_the_limit_is_the_peers_fault(self):
        address = self.serve_body(b"x" * 10_001)
        await self.fails(self.client.poke(address, self.device, SITE), PeerError)

    async def test_another_status_is_the_peers_fault(self):
        address = self.serve_body(b"", b"404 Not Found")
        error = await self.fails(self.client.poke(address, self.device, SITE), PeerError)
        assert "404" in str(error)

    async def test_who_answers_is_told_before_anything_is_said(self):
        address = self.serve(lambda transport: None)
        assert await Deferred.fromCoroutine(self.client.identify(address)) == self.device
        assert self.factory.requests == 0

    async def test_who_is_not_paired_is_not_called_not_even_on_a_kept_connection(self):
        address = self.serve_body(messages.write_answer(b"payload"))
        await self.client.pull(address, self.device, "{}", EXCHANGE, 0)
        self.paired.clear()
        error = await self.fails(self.client.pull(address, self.device, "{}", EXCHANGE, 0), PeerError)
        assert "not paired" in str(error) and self.factory.requests == 1

    async def test_another_device_than_the_one_expected_is_told_nothing(self):
        address = self.serve_body(messages.write_answer(b"payload"))
        other = new_identity().device
        self.paired.add(other)
        error = await self.fails(self.client.pull(address, other, "{}", EXCHANGE, 0), RetryLater)
        assert "another device" in str(error) and self.factory.requests == 0

    async def test_a_peer_that_does_not_know_us_says_so(self):
        address = self.serve_body(messages.write_answer(b"payload"))
        self.here = new_identity()
        error = await self.fails(self.client.pull(address, self.device, "{}", EXCHANGE, 0), RetryLater)
        assert "does not let this site in" in str(error) and self.factory.requests == 0

    async def test_what_does_not_speak_tls_is_for_later(self):
        port = reactor.listenTCP(0, Factory.forProtocol(Deaf), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        address = Address("127.0.0.1", port.getHost().port)
        await self.fails(self.client.poke(address, self.device, SITE), RetryLater)
        await self.fails(self.client.identify(address), RetryLater)

    async def test_what_does_not_speak_http_is_for_later(self):
        address = self.serve(lambda transport: transport.write(b"220 mail ready\r\n\r\n"))
        await self.fails(self.client.poke(address, self.device, SITE), RetryLater)

    async def test_a_deaf_peer_is_given_up(self):
        address = self.serve(lambda transport: None)
        self.client._clock = clock = FakeReactor()
        calling = self.fails(self.client.pull(address, self.device, "{}", EXCHANGE, 25), RetryLater)
        while not self.factory.requests:
            await self.turn()
        clock.advance(44)
        await self.turn()
        assert not calling.called
        clock.advance(1)
        assert "in time" in str(await calling)

    async def test_a_peer_that_drips_the_head_of_its_answer_is_given_up(self):
        address = self.serve(lambda transport: transport.write(b"HTTP/1.1 200 OK\r\nX-Y: "))
        self.client._clock = clock = FakeReactor()
        calling = self.fails(self.client.hello(address, self.device, "{}", "{}", ""), RetryLater)
        while not self.factory.requests:
            await self.turn()
        for _ in range(int(SHORT_S)):
            assert not calling.called
            self.factory.connections[0].transport.write(b"z")
            await self.turn()
            clock.advance(1)
        assert "in time" in str(await calling)

    async def test_a_cancelled_call_ends_its_connection(self):
        address = self.serve(lambda transport: None)
        calling = Deferred.fromCoroutine(self.client.pull(address, self.device, "{}", EXCHANGE, 25))
        while not self.factory.requests:
            await self.turn()
        calling.cancel()
        await self.assertFailure(calling, CancelledError)
        while not self.factory.lost:
            await self.turn()

    def turn(self) -> Deferred[None]:
        """Let the reactor go round once."""
        turned: Deferred[None] = Deferred()
        reactor.callLater(0, turned.callback, None)
        return turned


class BodyTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.body = Body(100 * PIECE_BYTES, self.clock)
        self.transport = StringTransport()
        self.body.makeConnection(self.transport)

    def test_a_slow_answer_is_taken_however_long_it_takes(self):
        for _ in range(50):
            self.clock.advance(SILENCE_S - 1)
            self.body.dataReceived(b"x" * PIECE_BYTES)
        self.body.connectionLost(Failure(ResponseDone()))
        assert result(self.body.done) == b"x" * 50 * PIECE_BYTES
        assert self.clock.getDelayedCalls() == []

    def test_a_byte_a_second_is_no_answer(self):
        for _ in range(int(SILENCE_S)):
            self.body.dataReceived(b"x")
            self.clock.advance(1)
        self.failureResultOf(self.body.done, RetryLater)
        assert self.transport.disconnecting

    def test_a_silence_ends_it(self):
        self.body.dataReceived(b"x")
        self.clock.advance(SILENCE_S)
        self.failureResultOf(self.body.done, RetryLater)
        assert self.transport.disconnecting
        self.body.connectionLost(Failure(ConnectionDone()))

    def test_too_much_ends_it_and_keeps_nothing(self):
        self.body.dataReceived(b"x" * (100 * PIECE_BYTES + 1))
        self.failureResultOf(self.body.done, PeerError)
        assert self.transport.disconnecting and self.body._pieces == []
        assert self.clock.getDelayedCalls() == []

"""Whatever a paired device calls, it is answered or refused, and honest devices are served as before.

The calls go to the real resource, over a whole site in memory; TLS and HTTP are left out here
(tests/unit/test_relay_resource.py has those).
"""

import json
import xmlrpc.client
import zlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from changecapture.core.scopes import Terms
from changecapture.sync import PullRequest, Received, answer, next_request
from relay import messages
from relay.calls import Calls
from relay.card import Card
from relay.connection import DatabaseConnection, DatabaseExchange
from relay.pace import Pace
from relay.polls import Polls
from relay.resource import Api
from relay.trust.desk import Desk
from tests.support.family import script
from tests.support.journal import FakeJournal
from tests.support.memory import MemorySite
from tests.unit.core.test_codec import json_values, replace_somewhere
from tests.unit.relay_fake import FakeLog, FakeManners, FakePeers, FakeReactor, device_id, result, site_id

HONEST, EVIL = device_id("1"), device_id("e")
HERE, FRIEND, LIAR = site_id("a"), site_id("b"), site_id("e")
EXCHANGE = "5" * 32
EXAMPLES = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Direct:
    """A Database without threads."""

    def __init__(self, site: MemorySite) -> None:
        self.exchange = DatabaseExchange("")
        self._connection = DatabaseConnection(site.store)

    async def greet(self, *arguments: Any) -> Any:
        return self._connection.greet(*arguments)

    async def next_request(self, peer: str, terms: Terms) -> PullRequest:
        return self._connection.next_request(peer, terms)

    async def answer(self, request: PullRequest, terms: Terms) -> Any:
        return self._connection.answer(request, terms)

    async def receive(self, peer: str, payload: bytes, terms: Terms) -> Received:
        return self._connection.receive(peer, payload, terms)

    async def meet(self, theirs: Any, measured: Any = None) -> None:
        """See Database.meet."""
        self._connection.meet(theirs, measured)

    def __getattr__(self, name: str) -> Any:
        """Give any other verb of a connection, as a coroutine."""
        verb = getattr(self._connection, name)

        async def call(*arguments: Any) -> Any:
            return verb(*arguments)

        return call


class World:
    """A site that serves, an honest one, and the log of the first."""

    def __init__(self) -> None:
        self.site, self.friend, self.liar = (
            MemorySite(script("memory"), origin=origin) for origin in (HERE, FRIEND, LIAR)
        )
        self.log, self.clock = FakeLog(), FakeReactor()
        peers: Any = FakePeers({HONEST, EVIL})
        database: Any = Direct(self.site)
        journal: Any = FakeJournal()
        pace = Pace(self.clock)
        desk = Desk(own=peers.own, name="here", peers=peers, clock=self.clock)
        self.api = Api(desk=desk, peers=peers, pace=pace, log=self.log)
        self.api.calls = Calls(
            database=database,
            polls=Polls(self.clock),
            pace=pace,
            bindings=peers,
            manners=FakeManners(),
            card=Card("here"),
            heard=lambda _: None,
            pulled=lambda _: False,
            received=lambda *_: None,
            journal=journal,
            clock=self.clock,
        )
        self.written = 0
        self.template = ""
        """What the lying site would push, unpacked."""
        self.numbers = count(1)
        self.greet(self.friend, HONEST)
        self.greet(self.liar, EVIL)

    def greet(self, site: MemorySite, device: str) -> None:
        greeting = DatabaseConnection(site.store).greet(HERE).to_json()
        messages.read_greeting(
            self.call(messages.write_call("hello", greeting, Card("x").to_json(), ""), device)
        )

    def call(self, body: bytes, device: str = EVIL) -> bytes:
        """Return the answer; a poll that would be held is given up."""
        self.clock.advance(1000)
        answering = Deferred.fromCoroutine(self.api.answer(device, body))
        self.clock.advance(100)
        return result(answering)

    def payload(self, site: MemorySite) -> bytes:
        """Return what a site would push next."""
        request = next_request(self.site.store, site.origin)
        return answer(site.store, request).payload

    def serves_others(self) -> None:
        """Check that an honest site's next word arrives."""
        self.written += 1
        word = f"word{self.written}"
        self.friend.family("INSERT INTO word (text) VALUES (%s)", word)
        self.friend.publish()
        body = messages.write_call("push", FRIEND, EXCHANGE, self.payload(self.friend))
        messages.read_wants(self.call(body, HONEST))
        assert self.site.family.rows(f"SELECT 1 FROM word WHERE text = '{word}'")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    made = World()
    made.liar.family("INSERT INTO word (text) VALUES (%s)", "lie")
    made.liar.publish()
    made.template = zlib.decompress(made.payload(made.liar)).decode()
    yield made


def check(world: World, body: bytes) -> None:
    """Make a call; fail unless it is answered or refused for what it is."""
    answered = world.call(body)
    try:
        xmlrpc.client.loads(answered, use_builtin_types=True)
    except xmlrpc.client.Fault as fault:
        assert fault.faultCode in (messages.WRONG, messages.BUSY, messages.GREET), fault
    assert world.log.lines == []
    world.serves_others()


texts = (
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=50)
    | st.just(LIAR)
    | st.sampled_from(["{}", EXCHANGE])
)
values = {
    str: texts,
    int: st.integers(-(2**31), 2**31 - 1),
    bytes: st.binary(max_size=100),
}
calls = st.sampled_from(sorted(messages.CALLS)).flatmap(
    lambda method: st.tuples(st.just(method), *(values[kind] for kind in messages.CALLS[method]))
)


@EXAMPLES
@given(call=calls)
def test_calls_of_the_right_form_with_any_content(world, call):
    check(world, messages.write_call(*call))


@EXAMPLES
@given(data=st.data())
def test_bodies_with_a_wrong_byte(world, data):
    body = bytearray(messages.write_call(*data.draw(calls)))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    check(world, bytes(body))


@EXAMPLES
@given(data=st.data())
def test_requests_with_another_value_somewhere(world, data):
    request = json.loads(next_request(world.liar.store, HERE).to_json())
    changed = replace_somewhere(data.draw, request, data.draw(json_values))
    check(world, messages.write_call("pull", json.dumps(changed), EXCHANGE, 0))


@EXAMPLES
@given(data=st.data())
def test_payloads_with_another_value_somewhere(world, data):
    lines = world.template.split("\n")
    place = data.draw(st.integers(0, len(lines) - 1))
    changed = replace_somewhere(data.draw, json.loads(lines[place]), data.draw(json_values))
    lines[place] = json.dumps(changed)
    # Another site each time: what came once does not come again.
    site = f"{next(world.numbers):032x}"
    payload = zlib.compress("\n".join(lines).replace(LIAR, site).encode("utf-8", "replace"))
    check(world, messages.write_call("push", site, EXCHANGE, payload))


def test_a_payload_that_unpacks_without_end_is_refused(world):
    bomb = zlib.compress(b"[" * 100_000_000, 9)
    check(world, messages.write_call("push", LIAR, EXCHANGE, bomb))


def test_calls_without_end_hold_up_nobody(world):
    """They are answered at their pace; others are answered at once meanwhile."""
    body = messages.write_call("poke", LIAR)
    coming = [Deferred.fromCoroutine(world.api.answer(EVIL, body)) for _ in range(1_000)]
    assert sum(call.called for call in coming) < 500
    poked = Deferred.fromCoroutine(world.api.answer(HONEST, messages.write_call("poke", FRIEND)))
    assert poked.called
    for call in coming:
        call.addErrback(lambda _: None)
        call.cancel()
    world.serves_others()

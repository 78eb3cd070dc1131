"""Discovery gives addresses and survives everything that a network does; zeroconf is a stub here."""

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from zeroconf import ServiceInfo, ServiceStateChange

from relay.address import Address
from relay.config import SERVICE
from relay.discovery import TRY_AGAIN_S, Discovery, describe
from tests.unit.relay_fake import FakeLog, FakeReactor, result, site_id

A, B = site_id("a"), site_id("b")
HERE = Address("127.0.0.1", 8000)
THERE = Address("127.0.0.1", 8001)
NAME = f"{B[:16]}.{SERVICE}"


class StubNetwork:
    """A network that may be absent, on which announcements stand in a table."""

    def __init__(self) -> None:
        self.absent = False
        self.infos: dict[str, ServiceInfo] = {}
        self.opened: list[ServiceInfo] = []
        self.closed = 0
        self.resolved = 0
        self.handler: Any = None

    def open(self, interfaces: list[str], info: ServiceInfo, handler: Any) -> object:
        if self.absent:
            raise OSError(19, "No such device")
        self.interfaces = interfaces
        self.opened.append(info)
        self.handler = handler
        return self

    def resolve(self, zeroconf: Any, service: str, name: str) -> ServiceInfo | None:
        self.resolved += 1
        return self.infos.get(name)

    def close(self, zeroconf: Any) -> None:
        self.closed += 1

    def say(self, name: str, change: ServiceStateChange) -> None:
        """Call the handler as zeroconf does: by keyword."""
        self.handler(zeroconf=self, service_type=SERVICE, name=name, state_change=change)


class FakeRoster:
    def __init__(self) -> None:
        self.named: dict[str, tuple[list[Address], str | None]] = {}

    def announce(self, source: str, addresses: list[Address], site: str | None = None) -> None:
        self.named[source] = (addresses, site)

    def forget(self, source: str) -> None:
        self.named.pop(source, None)


class Fixture:
    def __init__(self) -> None:
        self.network = StubNetwork()
        self.roster = FakeRoster()
        self.reactor = FakeReactor()
        self.log = FakeLog()
        self.in_thread: Any = maybeDeferred
        self.discovery = Discovery(
            site=A,
            protocol=1,
            address=HERE,
            service=SERVICE,
            interfaces=("127.0.0.1",),
            found=self.roster,
            reactor=self.reactor,
            in_thread=lambda *args: self.in_thread(*args),
            rng=Random(1),
            log=self.log,
            network=self.network,
        )

    def start(self) -> "Fixture":
        self.discovery.start()
        return self

    def announce(self, info: ServiceInfo, change: Any = ServiceStateChange.Added) -> None:
        self.network.infos[NAME] = info
        self.network.say(NAME, change)


def test_the_announcement_tells_the_site_and_the_protocol_and_nothing_else():
    info = describe(SERVICE, A, 1, HERE)
    assert info.properties == {b"id": A.encode(), b"protocol": b"1"}
    assert (info.parsed_addresses(), info.port) == (["127.0.0.1"], 8000)
    assert info.name == f"{A[:16]}.{SERVICE}"


def test_it_is_announced_on_the_interfaces_of_the_configuration():
    f = Fixture().start()
    assert f.network.interfaces == ["127.0.0.1"]
    assert f.log.count("announced to other sites") == 1


def test_another_site_is_found():
    f = Fixture().start()
    f.announce(describe(SERVICE, B, 1, THERE))
    assert f.roster.named == {NAME: ([THERE], B)}


def test_our_own_announcement_is_ignored_under_whatever_name():
    f = Fixture().start()
    f.announce(describe(SERVICE, A, 1, HERE))
    assert f.roster.named == {}


def test_all_loopback_addresses_of_a_name_are_given_and_no_other():
    f = Fixture().start()
    info = ServiceInfo(
        SERVICE,
        NAME,
        port=8001,
        properties={"id": B},
        parsed_addresses=["192.168.1.4", "127.0.0.1", "::1"],
    )
    f.announce(info)
    ((addresses, _),) = f.roster.named.values()
    assert set(addresses) == {THERE, Address("::1", 8001)}


def test_a_site_that_is_not_on_this_machine_is_shown_once_with_the_reason_and_not_called():
    f = Fixture().start()
    for _ in range(2):
        f.announce(describe(SERVICE, B, 1, Address("192.168.1.4", 8001)))
    assert f.roster.named == {}
    assert f.log.count("192.168.1.4 is not called: peers are not paired") == 1


def test_a_goodbye_takes_the_addresses_back():
    f = Fixture().start()
    f.announce(describe(SERVICE, B, 1, THERE))
    f.network.say(NAME, ServiceStateChange.Removed)
    assert f.roster.named == {}


def test_a_restart_with_another_port_is_found():
    f = Fixture().start()
    f.announce(describe(SERVICE, B, 1, THERE))
    f.announce(describe(SERVICE, B, 1, Address("127.0.0.1", 9)), ServiceStateChange.Updated)
    assert f.roster.named == {NAME: ([Address("127.0.0.1", 9)], B)}


def test_an_announcement_that_says_nonsense_is_ignored():
    f = Fixture().start()
    for properties in ({}, {"id": "x"}, {"id": b"\xff" * 32}, {"id": B + "0"}, {"id": None}):
        f.announce(ServiceInfo(SERVICE, NAME, port=1, properties=properties))
    f.announce(ServiceInfo(SERVICE, NAME, properties={"id": B}))
    assert f.roster.named == {}


def test_an_announcement_that_does_not_resolve_at_once_is_tried_again():
    f = Fixture().start()
    f.network.say(NAME, ServiceStateChange.Added)
    f.network.infos[NAME] = describe(SERVICE, B, 1, THERE)
    f.reactor.advance(TRY_AGAIN_S)
    assert NAME in f.roster.named


def test_a_goodbye_ends_the_tries():
    f = Fixture().start()
    f.network.say(NAME, ServiceStateChange.Added)
    f.network.say(NAME, ServiceStateChange.Removed)
    f.network.infos[NAME] = describe(SERVICE, B, 1, THERE)
    f.reactor.advance(TRY_AGAIN_S)
    assert f.roster.named == {} and f.reactor.getDelayedCalls() == []


def test_a_resolver_that_fails_does_not_stop_the_others():
    f = Fixture().start()
    f.network.resolve = lambda *_: 1 / 0
    f.announce(describe(SERVICE, B, 1, THERE))
    del f.network.resolve
    f.reactor.advance(TRY_AGAIN_S)
    assert NAME in f.roster.named


def test_without_a_network_it_tries_on_and_says_so_once():
    f = Fixture()
    f.network.absent = True
    f.start()
    f.reactor.pump([0.5] * 600)
    assert f.network.opened == [] and f.log.count("cannot be discovered yet") == 1
    f.network.absent = False
    f.reactor.pump([0.5] * 120)
    assert len(f.network.opened) == 1


def test_a_handler_never_raises_into_the_threads_of_zeroconf():
    f = Fixture().start()
    f.reactor.callFromThread = lambda *_: 1 / 0  # type: ignore[method-assign]
    f.network.say(NAME, ServiceStateChange.Added)


def test_a_stop_says_goodbye_and_hears_no_more():
    f = Fixture().start()
    result(f.discovery.stop())
    assert f.network.closed == 1
    f.announce(describe(SERVICE, B, 1, THERE))
    assert f.roster.named == {} and f.reactor.getDelayedCalls() == []


def test_a_stop_without_a_network_does_not_wait():
    f = Fixture()
    f.network.absent = True
    f.start()
    result(f.discovery.stop())
    assert f.network.closed == 0 and f.reactor.getDelayedCalls() == []


def test_what_is_being_opened_at_a_stop_is_closed():
    f = Fixture()
    opening: Deferred[object] = Deferred()
    f.in_thread = lambda *_: opening
    f.start()
    f.in_thread = maybeDeferred
    stopping = Deferred.fromCoroutine(f.discovery.stop())
    assert not stopping.called
    opening.callback(f.network)
    result(stopping)
    assert f.network.closed == 1

"""Discovery gives addresses and survives everything that a network does; zeroconf is a stub here."""

from random import Random
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from zeroconf import ServiceInfo, ServiceStateChange

from relay.address import Address
from relay.discovery import LOOK_S, MAX_ADDRESSES, TRY_AGAIN_S, Discovery, describe
from relay.settings import SERVICE
from tests.unit.relay_fake import FakeLog, FakeReactor, result

A, B = "a" * 64, "b" * 64
HOME, PORT = "192.168.1.3", 8000
THERE = Address("192.168.1.4", 8001)
NAME = f"{B[:16]}.{SERVICE}"


class StubNetwork:
    """A network that may be absent, on which announcements stand in a table."""

    def __init__(self) -> None:
        self.absent = False
        self.infos: dict[str, ServiceInfo] = {}
        self.opened: list[ServiceInfo] = []
        self.closed = 0
        self.resolved = 0
        self.updated: list[ServiceInfo] = []
        self.update_fails = False
        self.clash = ""
        self.handler: Any = None

    def open(self, interfaces: list[str], info: ServiceInfo, handler: Any) -> object:
        if self.absent:
            raise OSError(19, "No such device")
        self.interfaces = interfaces
        self.opened.append(info)
        self.handler = handler
        if self.clash:
            info.name = self.clash
        return self

    def update(self, zeroconf: Any, interfaces: list[str], info: ServiceInfo) -> None:
        if self.update_fails:
            raise OSError(19, "No such device")
        self.updated.append(info)

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

    def announce(self, source: str, addresses: list[Address], device: str) -> None:
        self.named[source] = (addresses, device)

    def forget(self, source: str) -> None:
        self.named.pop(source, None)


class Fixture:
    def __init__(self) -> None:
        self.network = StubNetwork()
        self.roster = FakeRoster()
        self.reactor = FakeReactor()
        self.log = FakeLog()
        self.in_thread: Any = maybeDeferred
        self.addresses = [HOME]
        self.moves: list[int] = []
        self.discovery = Discovery(
            device=A,
            protocol=1,
            port=PORT,
            addresses=lambda: self.read_addresses(),
            moved=lambda: self.moves.append(1),
            service=SERVICE,
            interfaces=("127.0.0.1",),
            found=self.roster,
            reactor=self.reactor,
            in_thread=lambda *args: self.in_thread(*args),
            rng=Random(1),
            log=self.log,
            network=self.network,
        )

    def read_addresses(self) -> list[str]:
        return self.addresses

    def start(self) -> "Fixture":
        self.discovery.start()
        return self

    def announce(self, info: ServiceInfo, change: Any = ServiceStateChange.Added) -> None:
        self.network.infos[NAME] = info
        self.network.say(NAME, change)


def of(device: str, *hosts: str, port: int = THERE.port) -> ServiceInfo:
    """Return the announcement of a device."""
    return describe(SERVICE, device, 1, port, list(hosts or [THERE.host]))


def test_the_announcement_tells_the_device_and_the_protocol_and_nothing_else():
    info = describe(SERVICE, A, 1, PORT, [HOME])
    assert info.properties == {b"id": A.encode(), b"protocol": b"1"}
    assert (info.parsed_addresses(), info.port) == ([HOME], PORT)
    assert info.name == f"{A[:16]}.{SERVICE}"


def test_it_is_announced_on_the_interfaces_of_the_configuration():
    f = Fixture().start()
    assert f.network.interfaces == ["127.0.0.1"]
    assert f.log.count("announced to other sites") == 1


def test_another_site_is_found():
    f = Fixture().start()
    f.announce(of(B))
    assert f.roster.named == {NAME: ([THERE], B)}


def test_our_own_announcement_is_ignored_under_whatever_name():
    f = Fixture().start()
    f.announce(of(A, *f.network.opened[0].parsed_addresses()))
    assert f.roster.named == {}


def test_who_announces_our_device_where_this_machine_is_not_is_handed_on():
    f = Fixture().start()
    own = f.network.opened[0].parsed_addresses()
    f.announce(of(A, *own, "192.168.1.77"))
    assert [([a.host for a in addresses], device) for addresses, device in f.roster.named.values()] == [
        (["192.168.1.77"], A)
    ]


def test_all_addresses_of_a_name_are_given():
    f = Fixture().start()
    f.announce(of(B, "192.168.1.4", "127.0.0.1", "::1", "2001:db8::4"))
    ((addresses, _),) = f.roster.named.values()
    assert {a.host for a in addresses} == {"192.168.1.4", "127.0.0.1", "::1", "2001:db8::4"}


def test_the_number_of_addresses_of_a_name_is_bounded():
    f = Fixture().start()
    f.announce(of(B, *(f"10.0.0.{n}" for n in range(100))))
    ((addresses, _),) = f.roster.named.values()
    assert len(addresses) == MAX_ADDRESSES


def test_new_addresses_are_announced_once_they_stand_still():
    f = Fixture().start()
    f.addresses = ["10.0.0.9"]
    f.reactor.advance(LOOK_S)
    assert f.network.updated == []
    f.addresses = ["10.0.0.10"]
    f.reactor.advance(LOOK_S)
    assert f.network.updated == []
    f.reactor.pump([LOOK_S] * 5)
    assert [info.parsed_addresses() for info in f.network.updated] == [["10.0.0.10"]]
    assert f.moves == [1]
    assert f.network.updated[0].name == f.network.opened[0].name


def test_an_interface_that_flaps_back_is_not_announced():
    f = Fixture().start()
    f.addresses = ["127.0.0.1"]
    f.reactor.advance(LOOK_S)
    f.addresses = [HOME]
    f.reactor.pump([LOOK_S] * 5)
    assert f.network.updated == []


def test_when_the_new_addresses_cannot_be_announced_it_opens_anew():
    f = Fixture().start()
    f.network.update_fails = True
    f.addresses = ["10.0.0.9"]
    f.reactor.pump([LOOK_S, LOOK_S, TRY_AGAIN_S])
    assert f.network.closed == 1
    assert [info.parsed_addresses() for info in f.network.opened] == [[HOME], ["10.0.0.9"]]


def test_addresses_that_cannot_be_read_do_not_end_it():
    f = Fixture().start()
    f.read_addresses = lambda: 1 / 0  # type: ignore[assignment]
    f.reactor.advance(LOOK_S)
    del f.read_addresses
    f.reactor.pump([0.5] * 60)
    assert len(f.network.opened) == 2


def test_the_name_that_a_clash_has_forced_is_kept():
    f = Fixture()
    f.network.clash = "x-2." + SERVICE
    f.start()
    f.addresses = ["10.0.0.9"]
    f.reactor.pump([LOOK_S] * 3)
    assert [info.name for info in f.network.updated] == ["x-2." + SERVICE]


def test_a_goodbye_takes_the_addresses_back():
    f = Fixture().start()
    f.announce(of(B))
    f.network.say(NAME, ServiceStateChange.Removed)
    assert f.roster.named == {}


def test_a_restart_with_another_port_is_found():
    f = Fixture().start()
    f.announce(of(B))
    f.announce(of(B, "127.0.0.1", port=9), ServiceStateChange.Updated)
    assert f.roster.named == {NAME: ([Address("127.0.0.1", 9)], B)}


def test_an_announcement_that_says_nonsense_is_ignored():
    f = Fixture().start()
    for properties in (
        {},
        {"id": "x"},
        {"id": b"\xff" * 32},
        {"id": B + "0"},
        {"id": "b" * 32},
        {"id": None},
    ):
        f.announce(ServiceInfo(SERVICE, NAME, port=1, properties=properties))
    f.announce(ServiceInfo(SERVICE, NAME, properties={"id": B}))
    assert f.roster.named == {}


def test_an_announcement_that_does_not_resolve_at_once_is_tried_again():
    f = Fixture().start()
    f.network.say(NAME, ServiceStateChange.Added)
    f.network.infos[NAME] = of(B)
    f.reactor.advance(TRY_AGAIN_S)
    assert NAME in f.roster.named


def test_a_goodbye_ends_the_tries():
    f = Fixture().start()
    f.network.say(NAME, ServiceStateChange.Added)
    f.network.say(NAME, ServiceStateChange.Removed)
    f.network.infos[NAME] = of(B)
    f.reactor.advance(TRY_AGAIN_S)
    assert f.roster.named == {} and f.network.resolved == 1


def test_a_resolver_that_fails_does_not_stop_the_others():
    f = Fixture().start()
    f.network.resolve = lambda *_: 1 / 0
    f.announce(of(B))
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
    f.announce(of(B))
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
    f.in_thread = lambda work, *a: opening if a else maybeDeferred(work)
    f.start()
    f.in_thread = maybeDeferred
    stopping = Deferred.fromCoroutine(f.discovery.stop())
    assert not stopping.called
    opening.callback(f.network)
    result(stopping)
    assert f.network.closed == 1

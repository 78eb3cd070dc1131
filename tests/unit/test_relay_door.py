"""Strangers are few and do not stay; who is paired is let in."""

from typing import Any

from twisted.internet.protocol import Protocol

from relay.clock import Timer
from relay.door import HANDSHAKE_S, MAX_PER_DEVICE, MAX_UNKNOWN, MAX_UNKNOWN_PER_HOST, PAIRING_S, Door, Guest
from tests.unit.relay_fake import FakePeers, FakeReactor, device_id

ONE, EVIL = device_id("1"), device_id("e")


class Site:
    def buildProtocol(self, _: Any) -> Protocol:
        return Protocol()


class Transport:
    """A TLS connection from a host."""

    def __init__(self, host: str, guest: Guest) -> None:
        self.host, self._guest, self.aborted = host, guest, False

    def getPeer(self) -> Any:
        return self

    def abortConnection(self) -> None:
        self.aborted = True
        self._guest.connectionLost()


class Fixture:
    def __init__(self) -> None:
        self.clock, self.peers, self.pairs = FakeReactor(), FakePeers({ONE}), False
        self.door = Door(Site(), is_paired=self.peers.is_paired, pairs=lambda: self.pairs, clock=self.clock)

    def connect(self, host: str = "10.0.0.1") -> tuple[Guest, Transport]:
        self.door.make_room(host)
        guest = self.door.buildProtocol(None)
        transport = Transport(host, guest)
        guest.makeConnection(transport)
        return guest, transport


def test_a_handshake_that_does_not_end_is_cut():
    f = Fixture()
    _, transport = f.connect()
    f.clock.advance(HANDSHAKE_S)
    assert transport.aborted and f.door.count_unknown() == 0 and f.door.protocols == {}


def test_one_machine_with_a_network_of_ipv6_turns_out_its_own_alone():
    f = Fixture()
    _, other = f.connect("2001:db8:0:2::1")
    evil = [f.connect(f"2001:db8:0:1::{n + 1:x}")[1] for n in range(2 * MAX_UNKNOWN)]
    assert all(t.aborted for t in evil[:-MAX_UNKNOWN_PER_HOST])
    assert not any(t.aborted for t in [other, *evil[-MAX_UNKNOWN_PER_HOST:]])


def test_who_is_paired_stays():
    f = Fixture()
    guest, transport = f.connect()
    f.door.know(guest, ONE)
    f.clock.advance(3600)
    assert not transport.aborted and f.door.count(ONE) == 1


def test_who_is_not_paired_is_cut_at_once_and_without_a_device_too():
    f = Fixture()
    for device in (EVIL, None):
        guest, transport = f.connect()
        f.door.know(guest, device)
        assert transport.aborted


def test_who_may_only_pair_does_not_stay():
    f = Fixture()
    f.pairs = True
    guest, transport = f.connect()
    f.door.know(guest, EVIL)
    assert not transport.aborted
    f.clock.advance(PAIRING_S)
    assert transport.aborted


def test_a_flood_from_many_hosts_is_bounded_and_who_comes_finds_room():
    f = Fixture()
    flood = [f.connect(f"10.0.{n % 5}.1")[1] for n in range(3 * MAX_UNKNOWN)]
    guest, transport = f.connect("10.0.9.9")
    assert f.door.count_unknown() == len(f.door.protocols) == MAX_UNKNOWN
    for n in range(MAX_UNKNOWN):
        f.connect(f"10.0.{n % 5}.1")
    assert not transport.aborted and flood[0].aborted
    f.door.know(guest, ONE)
    assert f.door.count(ONE) == 1 and f.door.count_unknown() == MAX_UNKNOWN - 1
    f.clock.advance(HANDSHAKE_S)
    assert f.door.count_unknown() == 0 and not transport.aborted


def test_who_was_turned_out_is_let_in_no_more():
    f = Fixture()
    guest, transport = f.connect()
    transport.abortConnection = lambda: None  # type: ignore[method-assign]
    for _ in range(MAX_UNKNOWN_PER_HOST):
        f.connect()
    f.door.know(guest, ONE)
    assert f.door.count(ONE) == 0


def test_who_is_paired_takes_no_room_from_those_that_come():
    f = Fixture()
    for _ in range(5 * MAX_UNKNOWN):
        guest, _ = f.connect()
        f.door.know(guest, ONE)
    assert f.door.count_unknown() == 0 and f.door.count(ONE) == MAX_PER_DEVICE


def test_timers_end_with_their_connections():
    f = Fixture()
    guest, transport = f.connect()
    transport.abortConnection()
    timers: list[Timer] = f.clock.getDelayedCalls()
    assert timers == [] and guest not in f.door.protocols

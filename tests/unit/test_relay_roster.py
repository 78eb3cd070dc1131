"""Which addresses are tried, and over which of them a site is spoken to."""

from dataclasses import dataclass, field

from relay.address import Address
from relay.events import Event, Poked, Started, Stopped
from relay.roster import MOST_ADDRESSES, Roster
from tests.unit.relay_fake import FakeLog

A = "a" * 32
DEVICE, OTHER = "d" * 64, "e" * 64
ONE, TWO, THREE = (Address("127.0.0.1", port) for port in (1, 2, 3))


@dataclass
class FakeSession:
    site: str | None = None


@dataclass
class FakePeer:
    address: Address
    session: FakeSession = field(default_factory=FakeSession)
    events: list[Event] = field(default_factory=list)
    pokes: int = 0
    doubts: int = 0
    announced: str | None = None
    device: str | None = None

    def handle(self, event: Event) -> None:
        self.events.append(event)

    def announce(self, device: str | None) -> None:
        self.announced = device

    def stop(self) -> None:
        self.handle(Stopped())

    def doubt(self) -> None:
        self.doubts += 1

    def poke(self) -> None:
        self.pokes += 1


class Fixture:
    def __init__(self) -> None:
        self.peers: dict[Address, FakePeer] = {}
        self.holding: set[str] = set()
        self.log = FakeLog()
        self.roster = Roster(self.make, hears=self.holding.__contains__, log=self.log)

    def make(self, _: Roster, address: Address, device: str | None) -> FakePeer:
        self.peers[address] = FakePeer(address, announced=device, device=device)
        return self.peers[address]


def test_each_address_is_started_once_whoever_names_it():
    f = Fixture()
    f.roster.announce("configuration", [ONE, TWO])
    f.roster.announce("found", [TWO, THREE], DEVICE)
    assert all(peer.events == [Started()] for peer in f.peers.values())
    assert f.peers[THREE].announced == DEVICE


def test_an_address_that_nobody_names_any_more_is_dropped():
    f = Fixture()
    f.roster.announce("configuration", [ONE])
    f.roster.announce("found", [ONE, TWO], DEVICE)
    f.roster.forget("found")
    assert f.peers[ONE].events == [Started()]
    assert f.peers[TWO].events == [Started(), Stopped()]


def test_a_leader_whose_address_nobody_names_any_more_is_asked_whether_it_is_there():
    f = Fixture()
    f.roster.announce("found", [ONE], DEVICE)
    f.roster.lead(A, ONE)
    assert f.peers[ONE].pokes == 0
    f.roster.announce("found", [TWO], DEVICE)
    assert f.peers[ONE].pokes == 1 and f.peers[ONE].events == [Started()]


def test_a_site_that_calls_is_looked_for_where_nobody_was_met_yet():
    f = Fixture()
    f.roster.announce("configuration", [ONE, TWO])
    f.peers[TWO].session.site = "b" * 32
    f.roster.poked(A)
    assert f.peers[ONE].events == [Started(), Poked()]
    assert f.peers[TWO].events == [Started()]
    f.roster.lead(A, TWO)
    f.roster.poked(A)
    assert f.peers[ONE].events == [Started(), Poked()]


def test_a_changed_address_takes_the_place_of_the_old_one():
    f = Fixture()
    f.roster.announce("found", [ONE], DEVICE)
    f.roster.announce("found", [TWO], DEVICE)
    assert f.peers[ONE].events[-1] == Stopped()
    assert f.peers[TWO].events == [Started()]


def test_an_announcement_that_is_lost_does_not_end_a_talk():
    f = Fixture()
    f.roster.announce("found", [ONE], DEVICE)
    f.roster.lead(A, ONE)
    f.roster.forget("found")
    assert f.peers[ONE].events == [Started()]
    f.roster.release(A, ONE)
    assert f.peers[ONE].events[-1] == Stopped()


def test_where_a_device_was_spoken_to_is_tried_on_while_it_is_announced_elsewhere():
    f = Fixture()
    f.roster.announce("found", [ONE], DEVICE)
    f.roster.lead(A, ONE)
    f.roster.announce("found", [TWO], DEVICE)
    f.roster.release(A, ONE)
    assert Stopped() not in f.peers[ONE].events
    f.roster.lead(A, TWO)
    assert f.peers[ONE].events[-1] == Stopped()
    f.roster.announce("found", [THREE], DEVICE)
    f.roster.changed(DEVICE, paired=False)
    assert f.peers[TWO].events[-1] == Stopped()


def test_a_site_is_spoken_to_over_one_address():
    f = Fixture()
    f.roster.lead(A, ONE)
    assert f.roster.taken(A, TWO) and not f.roster.taken(A, ONE)
    f.roster.release(A, ONE)
    assert not f.roster.taken(A, TWO)


def test_only_the_leader_can_release():
    f = Fixture()
    f.roster.lead(A, ONE)
    f.roster.release(A, TWO)
    assert f.roster.taken(A, TWO)


def test_when_the_leader_fails_the_others_of_its_site_are_tried():
    f = Fixture()
    f.roster.announce("configuration", [ONE, TWO, THREE])
    f.peers[ONE].session.site = f.peers[TWO].session.site = A
    f.roster.lead(A, ONE)
    f.roster.release(A, ONE)
    assert f.peers[TWO].events[-1] == Poked()
    assert f.peers[ONE].events == f.peers[THREE].events == [Started()]


def test_what_is_unpaired_is_ended_at_once_though_it_leads():
    f = Fixture()
    f.roster.announce("found", [ONE], DEVICE)
    f.roster.lead(A, ONE)
    f.roster.forget("found")
    f.roster.changed(DEVICE, paired=False)
    assert f.peers[ONE].events == [Started(), Stopped()]
    f.roster.release(A, ONE)
    f.roster.announce("found", [ONE], OTHER)
    assert f.peers[ONE].announced == OTHER


def test_an_unpaired_device_at_an_address_of_the_configuration_is_looked_at_anew():
    f = Fixture()
    f.roster.announce("configuration", [ONE])
    before = f.peers[ONE]
    before.device = DEVICE
    f.roster.changed(DEVICE, paired=False)
    assert before.events[-1] == Stopped()
    assert f.peers[ONE] is not before and f.peers[ONE].events == [Started()]


def test_a_device_that_was_paired_is_tried_at_once():
    f = Fixture()
    f.roster.announce("configuration", [ONE, TWO])
    f.peers[ONE].device = DEVICE
    f.roster.changed(DEVICE, paired=True)
    assert [f.peers[a].events[-1] for a in (ONE, TWO)] == [Poked(), Started()]


def test_a_peer_is_told_who_is_announced_at_its_address():
    f = Fixture()
    f.roster.announce("found", [ONE], DEVICE)
    f.roster.announce("other", [ONE], OTHER)
    assert f.peers[ONE].announced == OTHER


def test_a_new_address_of_a_device_casts_doubt_on_the_one_that_leads():
    f = Fixture()
    f.roster.announce("found", [ONE], DEVICE)
    f.roster.lead(A, ONE)
    f.roster.announce("found", [ONE], DEVICE)
    assert f.peers[ONE].doubts == 0
    f.roster.announce("found", [ONE, TWO], DEVICE)
    assert f.peers[ONE].doubts == 1
    f.roster.announce("other", [THREE], OTHER)
    assert f.peers[ONE].doubts == 1


def test_when_this_machine_has_moved_all_connections_are_in_doubt():
    f = Fixture()
    f.roster.announce("configuration", [ONE, TWO])
    f.roster.lead(A, ONE)
    f.roster.moved()
    assert (f.peers[ONE].doubts, f.peers[TWO].doubts) == (1, 0)


def test_news_are_told_to_leaders_that_hold_no_poll_and_did_not_send_them():
    f = Fixture()
    f.roster.announce("configuration", [ONE, TWO, THREE])
    for letter, address in zip("abc", (ONE, TWO, THREE), strict=True):
        f.roster.lead(letter * 32, address)
    f.holding.add("b" * 32)
    f.roster.news("c" * 32)
    assert [f.peers[a].pokes for a in (ONE, TWO, THREE)] == [1, 0, 0]


def crowd(*, begin: int = 100) -> list[Address]:
    """Return more addresses than are tried of one device."""
    return [Address("127.0.0.1", begin + n) for n in range(MOST_ADDRESSES + 10)]


def test_a_device_has_room_for_so_many_addresses_and_the_others_for_theirs():
    f = Fixture()
    f.roster.announce("flood", crowd(), DEVICE)
    f.roster.announce("more", crowd(begin=200), DEVICE)
    assert len(f.peers) == MOST_ADDRESSES
    assert f.log.count("announced at more than") == 1
    f.roster.announce("found", [ONE], OTHER)
    f.roster.announce("configuration", [TWO, *crowd(begin=300)])
    assert len(f.peers) == 2 * MOST_ADDRESSES + 12


def test_room_that_is_given_back_is_for_the_addresses_that_wait():
    f = Fixture()
    f.roster.announce("flood", crowd(), DEVICE)
    f.roster.announce("found", [ONE], DEVICE)
    assert ONE not in f.peers
    f.roster.forget("flood")
    assert f.peers[ONE].events == [Started()]


def test_a_stop_ends_all():
    f = Fixture()
    f.roster.announce("configuration", [ONE, TWO])
    f.roster.stop()
    assert all(peer.events[-1] == Stopped() for peer in f.peers.values())

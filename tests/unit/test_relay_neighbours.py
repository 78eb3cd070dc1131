"""Which announcements are kept, and which are handed on to be called."""

from collections.abc import Iterable

from relay.address import Address
from relay.neighbours import MAX_NEIGHBOURS, Neighbours

OWN, PAIRED, OTHER, STRANGER = "0" * 64, "d" * 64, "e" * 64, "f" * 64
THERE = Address("192.168.1.5", 7481)


class Callers:
    def __init__(self) -> None:
        self.named: dict[str, str | None] = {}

    def announce(self, source: str, addresses: Iterable[Address], device: str | None = None) -> None:
        self.named[source] = device

    def forget(self, source: str) -> None:
        self.named.pop(source, None)


def crowd(device: str) -> tuple[Neighbours, Callers]:
    """Return as many announcements of a device as are kept."""
    neighbours = Neighbours(own=OWN, is_paired=lambda d: d in (PAIRED, OTHER))
    callers = Callers()
    neighbours.attach(callers)
    for n in range(MAX_NEIGHBOURS):
        neighbours.announce(f"crowd {n}", [Address(f"10.0.0.{n}", 7481)], device)
    return neighbours, callers


def test_strangers_are_known_and_not_called():
    neighbours, callers = crowd(STRANGER)
    assert STRANGER in neighbours.all() and callers.named == {}


def test_a_paired_device_takes_the_place_of_a_stranger():
    neighbours, callers = crowd(STRANGER)
    neighbours.announce("found", [THERE], PAIRED)
    assert neighbours.all()[PAIRED] == (THERE,) and callers.named == {"found": PAIRED}


def test_who_is_announced_under_many_names_leaves_room_for_the_others():
    neighbours, callers = crowd(PAIRED)
    neighbours.announce("found", [THERE], OTHER)
    assert neighbours.all()[OTHER] == (THERE,) and callers.named["found"] == OTHER
    assert "crowd 0" not in callers.named


def test_a_stranger_takes_nobodys_place():
    neighbours, _ = crowd(PAIRED)
    neighbours.announce("found", [THERE], STRANGER)
    assert STRANGER not in neighbours.all()

"""Which devices were announced on this network, and where; the paired ones are handed on to be called.

The others are only known: shown to a person (``changecapture-relay peers``), and called by nobody
but a pairing.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from relay.address import Address

MAX_NEIGHBOURS = 256


class Callers(Protocol):
    """Takes the addresses that are to be called (``relay.roster``)."""

    def announce(self, source: str, addresses: Iterable[Address], device: str | None = None) -> None:
        """The source stands for a device at these addresses."""

    def forget(self, source: str) -> None:
        """It does no longer."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """An announcement."""

    device: str
    addresses: tuple[Address, ...]


class Neighbours:
    """All announcements, by their names."""

    def __init__(self, *, own: str, is_paired: Callable[[str], bool]) -> None:
        """``own``: this device, which is not its own neighbour: whoever announces it is called all the same,
        to learn whether that is a copy of this machine."""
        self._own = own
        self._is_paired = is_paired
        self._known: dict[str, Neighbour] = {}
        self._callers: Callers | None = None

    def attach(self, callers: Callers) -> None:
        """Hand on those that are paired, from now on."""
        self._callers = callers
        for source in self._known:
            self._hand_on(source)

    def announce(self, source: str, addresses: Iterable[Address], device: str) -> None:
        """Take an announcement, in place of the one of that name before."""
        if not self._has_room(source, device):
            return
        self._known[source] = Neighbour(device, tuple(addresses))
        self._hand_on(source)

    def forget(self, source: str) -> None:
        """It is announced no longer."""
        if self._known.pop(source, None) is not None and self._callers is not None:
            self._callers.forget(source)

    def changed(self, device: str) -> None:
        """The device was paired, or unpaired."""
        for source, neighbour in self._known.items():
            if neighbour.device == device:
                self._hand_on(source)

    def all(self) -> dict[str, tuple[Address, ...]]:
        """Return the addresses of each device."""
        found: dict[str, tuple[Address, ...]] = {}
        for neighbour in self._known.values():
            if neighbour.device == self._own:
                continue
            found[neighbour.device] = (*found.get(neighbour.device, ()), *neighbour.addresses)
        return found

    def _has_room(self, source: str, device: str) -> bool:
        """Return whether one more may be kept; a paired device takes the place of a stranger, else of
        the device that has the most."""
        if source in self._known or len(self._known) < MAX_NEIGHBOURS:
            return True
        if not self._is_paired(device):
            return False
        counts = Counter(neighbour.device for neighbour in self._known.values())
        other = max(counts, key=lambda d: (not self._is_paired(d), counts[d]))
        if self._is_paired(other) and counts[other] <= counts[device] + 1:
            return False
        self.forget(next(s for s, neighbour in self._known.items() if neighbour.device == other))
        return True

    def _hand_on(self, source: str) -> None:
        if self._callers is None:
            return
        neighbour = self._known[source]
        if neighbour.device == self._own or self._is_paired(neighbour.device):
            self._callers.announce(source, neighbour.addresses, neighbour.device)
        else:
            self._callers.forget(source)

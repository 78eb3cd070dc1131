"""Which addresses are tried, who said so, and which of them leads for its site.

Sources are the configuration and, by name, what discovery finds; one address may have several. An
address that nobody names any more is dropped, but not while it leads: whether a peer is alive is
known from calls, and an announcement may get lost on a bad network. Nor while its device, which was spoken to
there last, is announced elsewhere: anybody may announce that. Only what is unpaired ends at once.

So anybody may announce a device at many addresses, too: each has room for so many, and the others wait until
some are given back. What the configuration names always has room.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from relay.address import Address
from relay.events import Poked, Started
from relay.log import Log
from relay.peer import Peer
from relay.trust.identity import SHORT

MOST_ADDRESSES = 16
"""Of one device, tried at a time."""


class Named(NamedTuple):
    """What a source names: addresses, and the device that is said to be there."""

    addresses: frozenset[Address] = frozenset()
    device: str | None = None


class Roster:
    """All addresses, one ``Peer`` each."""

    def __init__(
        self,
        make_peer: Callable[["Roster", Address, str | None], Peer],
        *,
        hears: Callable[[str], bool],
        log: Log,
    ) -> None:
        """``hears`` tells whether a site will hear of news by its polls here."""
        self._make_peer = make_peer
        self._hears = hears
        self._log = log
        self._sources: dict[str, Named] = {}
        self._peers: dict[Address, Peer] = {}
        self._leaders: dict[str, Address] = {}
        self._proven: dict[str, Address] = {}
        """Where each device was spoken to last."""
        self._crowded: set[str] = set()
        """Devices that are announced at more addresses than are tried."""

    def announce(self, source: str, addresses: Iterable[Address], device: str | None = None) -> None:
        """Try these addresses, in place of those that the source named before; ``device`` is there."""
        before, named = self._sources.get(source, Named()), Named(frozenset(addresses), device)
        self._sources[source] = named
        for address in named.addresses & self._peers.keys():
            self._peers[address].announce(device)
        self._try_named()
        if device is not None and named.addresses - before.addresses:
            self._doubt_leader(device, named.addresses)
        self._drop_unnamed()

    def forget(self, source: str) -> None:
        """The source names none any more."""
        self._sources.pop(source, None)
        self._drop_unnamed()

    def taken(self, site: str, address: Address) -> bool:
        """Return whether the site is spoken to over another address."""
        return self._leaders.get(site, address) != address

    def find(self, device: str) -> Address | None:
        """Return the address over which a device is spoken to."""
        return next((a for a in self._leaders.values() if self._peers[a].device == device), None)

    def leads(self, site: str) -> bool:
        """Return whether the site is spoken to: what it has is pulled."""
        return site in self._leaders

    def sites(self) -> set[str]:
        """Return the sites that are spoken to."""
        return set(self._leaders)

    def lead(self, site: str, address: Address) -> None:
        """Speak to the site over this address."""
        self._leaders[site] = address
        peer = self._peers.get(address)
        device = peer.device if peer is not None else None
        if device is not None and self._proven.get(device) != address:
            self._proven[device] = address
            self._drop_unnamed()

    def release(self, site: str, address: Address) -> None:
        """Let another address of the site have its turn."""
        if self._leaders.get(site) != address:
            return
        del self._leaders[site]
        for peer in list(self._peers.values()):
            if peer.session.site == site and peer.address != address:
                peer.handle(Poked())
        self._drop_unnamed()

    def poked(self, site: str) -> None:
        """The site called us: try it now, also where nobody was ever met, since it may be there."""
        if site not in self._leaders:
            for peer in list(self._peers.values()):
                if peer.session.site in (site, None):
                    peer.handle(Poked())

    def news(self, source: str | None) -> None:
        """Poke the peers that do not wait for our news anyway, but not the one that it is from."""
        for site, address in list(self._leaders.items()):
            if site != source and not self._hears(site):
                self._peers[address].poke()

    def changed(self, device: str, *, paired: bool) -> None:
        """The device was paired, or unpaired: end what is said to it at once."""
        if not paired:
            self._proven.pop(device, None)
        for peer in [p for p in self._peers.values() if p.device == device]:
            if paired:
                peer.handle(Poked())
                continue
            peer.stop()
            self._peers.pop(peer.address, None)
        self._try_named()

    def greet_anew(self, device: str | None = None) -> None:
        """Greet a device that is spoken to once more, or all: there is something new to tell."""
        for address in list(self._leaders.values()):
            if device in (None, self._peers[address].device):
                self._peers[address].greet_anew()

    def stop(self) -> None:
        """End all sessions."""
        self._sources.clear()
        peers, self._peers = self._peers, {}
        self._leaders.clear()
        self._proven.clear()
        for peer in peers.values():
            peer.stop()

    def moved(self) -> None:
        """This machine has other addresses: connections from the old ones are dead, and do not say so."""
        for address in list(self._leaders.values()):
            self._peers[address].doubt()

    def _doubt_leader(self, device: str, addresses: frozenset[Address]) -> None:
        """A device is announced at new addresses: is it still at the one over which it is spoken to?"""
        for address in list(self._leaders.values()):
            if self._peers[address].device == device and not addresses <= {address}:
                self._peers[address].doubt()

    def _try_named(self) -> None:
        """Try what is named and is not tried yet, as far as there is room for its device."""
        tried = Counter(peer.announced for peer in self._peers.values())
        for addresses, device in list(self._sources.values()):
            for address in sorted(addresses):
                if address in self._peers:
                    continue
                if device is not None and tried[device] >= MOST_ADDRESSES:
                    self._tell_crowded(device)
                    break
                tried[device] += 1
                self._try(address, device)

    def _tell_crowded(self, device: str) -> None:
        if device not in self._crowded:
            self._crowded.add(device)
            self._log.warning(
                f"{device[:SHORT]} is announced at more than {MOST_ADDRESSES} addresses: the others wait "
                "(somebody else may announce it; a [[peer]] in the configuration says where it is)"
            )

    def _try(self, address: Address, device: str | None) -> None:
        peer = self._peers[address] = self._make_peer(self, address, device)
        peer.handle(Started())

    def _drop_unnamed(self) -> None:
        named, proven = self._named(), self._still_proven()
        for address in [a for a in self._peers if a not in named]:
            if address in self._leaders.values():
                # It may have moved: what is said to the old address would be waited for in vain.
                self._peers[address].poke()
            elif address not in proven:
                self._peers.pop(address).stop()
        self._try_named()

    def _named(self) -> frozenset[Address]:
        return frozenset[Address]().union(*(named.addresses for named in self._sources.values()))

    def _still_proven(self) -> set[Address]:
        """Return where devices were spoken to that are announced."""
        announced = {named.device for named in self._sources.values()}
        return {address for device, address in self._proven.items() if device in announced}

"""The devices that are paired with this one, kept in the state directory.

Each is bound to the sites that it has spoken for: no other paired device may speak for them. What is
changed here holds from the next call on, also on connections that are open (``relay.resource`` and
``relay.client`` ask for each).

What each may be sent and what is taken from it is kept here too; what it offers in its turn it says when
it greets.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from changecapture.core.scopes import EVERY, Scopes, Terms, load_scopes
from changecapture.errors import ConfigError, PeerError
from relay.trust.identity import SHORT
from relay.trust.state import read_private, write_private

FILE = "peers.json"
NOTHING = Scopes(but=False)
MAX_SITES = 16
"""That one device may speak for."""
MOST_BROUGHT = 5000
"""Parts of vectors (a site, or a program that writes at one, in one epoch and one module) that nobody here
knew and one device may bring in all: each is in every vector of every site from then on."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A device that may be spoken with. ``send`` and ``accept``: which modules it gets, and may bring;
    ``heard``: the serial of its last introduction; ``key``: its public key (base64), once it has greeted;
    ``brought``: how many parts of vectors that nobody here knew came from it."""

    device: str
    name: str
    paired_at: str = ""
    sites: tuple[str, ...] = ()
    introducer: bool = False
    introduced_by: str | None = None
    send: Scopes = EVERY
    accept: Scopes = EVERY
    heard: int = 0
    key: str = ""
    brought: int = 0

    @property
    def label(self) -> str:
        """Return what a person calls it."""
        return f"{self.name} (device {self.device[:SHORT]})"


Hear = Callable[[Paired | None, Paired | None], None]


class Peers:
    """All paired devices."""

    def __init__(self, directory: Path, own: str, most_brought: int = MOST_BROUGHT) -> None:
        """``own``: this device, which is never its own peer; ``most_brought``: see MOST_BROUGHT."""
        self._most_brought = most_brought
        self._path = directory / FILE
        self.own = own
        self.serial, self._paired = _read(self._path)
        self._heard: list[Hear] = []
        self.offered: dict[str, Scopes] = {}
        """What each device has said that it sends us, since we started."""

    def on_change(self, hear: Hear) -> None:
        """Call ``hear`` with what was kept of a device before, and after, each change from now on."""
        self._heard.append(hear)

    def all(self) -> list[Paired]:
        """Return them by name."""
        return sorted(self._paired.values(), key=lambda peer: (peer.name, peer.device))

    def get(self, device: str) -> Paired | None:
        """Return one, None when it is not paired."""
        return self._paired.get(device)

    def is_paired(self, device: str) -> bool:
        """Return whether a device may be spoken with."""
        return device in self._paired

    def may_greet(self, device: str) -> bool:
        """Return whether a device may connect: one that is paired, or has our own key (a copy of us?)."""
        return device == self.own or device in self._paired

    def put(self, peer: Paired) -> None:
        """Pair a device, or change what is kept of it."""
        if peer.device == self.own:
            raise PeerError("this device is not its own peer")
        self._write({**self._paired, peer.device: peer}, peer.device)

    def change(self, device: str, **changes: Any) -> Paired:
        """Change what is kept of a paired device; return it."""
        peer = replace(self._paired[device], **changes)
        self.put(peer)
        return peer

    def remove(self, device: str) -> list[Paired]:
        """Unpair a device, and those that it alone has introduced; return all of them."""
        gone = [
            peer for peer in self._paired.values() if peer.device == device or peer.introduced_by == device
        ]
        names = {peer.device for peer in gone}
        self._write({d: p for d, p in self._paired.items() if d not in names}, *names)
        return gone

    def terms(self, device: str) -> Terms:
        """Return what may be exchanged with a device: nothing with one that is not paired."""
        peer = self._paired.get(device)
        if peer is None:
            return Terms(NOTHING, NOTHING, NOTHING)
        room = max(0, self._most_brought - peer.brought)
        return Terms(peer.send, peer.accept, self.offered.get(device, NOTHING), room)

    def note_brought(self, device: str, number: int) -> None:
        """A device has brought so many parts of vectors that nobody here knew."""
        if number and device in self._paired:
            self.change(device, brought=self._paired[device].brought + number)

    def claim(self, device: str, site: str) -> None:
        """Bind a site to a device; raise PeerError when it is another's, or the device not paired."""
        peer = self._paired.get(device)
        if peer is None:
            raise PeerError("this device is not paired")
        if site in peer.sites:
            return
        other = self._find_speaker(site)
        if other is not None:
            raise PeerError(
                f"site {site} is spoken for by {other.label}",
                why=f"{peer.label} says that it is this site too",
                mend=f"if it has moved to the new device: changecapture-relay unpair {other.device[:SHORT]}",
            )
        if len(peer.sites) >= MAX_SITES:
            raise PeerError(f"{peer.label} speaks for {MAX_SITES} sites already")
        self.change(device, sites=(*peer.sites, site))

    def name_site(self, site: str) -> str:
        """Return what a person calls who speaks for a site; the site, where nobody does."""
        speaker = self._find_speaker(site)
        return site if speaker is None else speaker.name

    def _find_speaker(self, site: str) -> Paired | None:
        return next((peer for peer in self._paired.values() if site in peer.sites), None)

    def find(self, text: str) -> Paired:
        """Return the one that a person means by a name or by the beginning of an id; raise ConfigError."""
        wanted = text.strip().lower()
        found = [p for p in self.all() if p.name.lower() == wanted or p.device == wanted]
        found = found or [p for p in self.all() if len(wanted) >= 4 and p.device.startswith(wanted)]
        if len(found) == 1:
            return found[0]
        mend = "changecapture-relay peers lists them"
        if found:
            raise ConfigError(f"'{text}' may be any of {len(found)} peers", mend=f"{mend}; take the id")
        raise ConfigError(f"no peer is called '{text}'", mend=mend)

    def _write(self, paired: dict[str, Paired], *changed: str) -> None:
        serial = max(self.serial + 1, int(time.time() * 1_000_000))
        rows = [_row(paired[device]) for device in sorted(paired)]
        write_private(self._path, json.dumps({"serial": serial, "peers": rows}, indent=1).encode())
        before, self._paired, self.serial = self._paired, paired, serial
        for device in changed:
            for hear in self._heard:
                hear(before.get(device), paired.get(device))


def has_other_terms(before: Paired, after: Paired) -> bool:
    """Return whether what was agreed with a device holds no longer."""
    return (before.send, before.accept) != (after.send, after.accept)


def is_other_list(before: Paired | None, after: Paired | None) -> bool:
    """Return whether those whom this device introduces are others now."""
    was, is_now = (peer is not None and peer.introduced_by is None for peer in (before, after))
    return was != is_now


def _read(path: Path) -> tuple[int, dict[str, Paired]]:
    """Return the serial of the list, which grows with each change, and the list."""
    content = read_private(path)
    if content is None:
        return 0, {}
    try:
        data = json.loads(content)
        return int(data.get("serial", 0)), {row["device"]: _peer(row) for row in data["peers"]}
    except (ValueError, TypeError, KeyError, AttributeError, PeerError) as error:
        raise ConfigError(
            f"{path} is damaged",
            why=str(error) if isinstance(error, PeerError) else "it is no list of paired devices",
            mend="put it back from a backup; or remove it and pair this site anew",
        ) from error


def _peer(row: dict[str, Any]) -> Paired:
    names = {f.name for f in fields(Paired)}
    known = {name: value for name, value in row.items() if name in names}
    known["sites"] = tuple(known.get("sites", ()))
    for name in ("send", "accept"):
        known[name] = load_scopes(known.get(name, ""))
    return Paired(**known)


def _row(peer: Paired) -> dict[str, Any]:
    row = asdict(peer)
    return {**row, "send": peer.send.dump(), "accept": peer.accept.dump()}

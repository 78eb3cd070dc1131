"""The devices that are paired with this one, kept in the state directory.

Each is bound to the sites that it has spoken for: no other paired device may speak for them. What is
changed here holds from the next call on, also on connections that are open (``relay.resource`` and
``relay.client`` ask for each).
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from changecapture.errors import ConfigError, PeerError
from relay.trust.identity import SHORT
from relay.trust.state import read_private, write_private

FILE = "peers.json"
MAX_SITES = 16
"""That one device may speak for."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A device that may be spoken with. ``send`` and ``accept`` name modules; None: all."""

    device: str
    name: str
    paired_at: str = ""
    sites: tuple[str, ...] = ()
    introducer: bool = False
    introduced_by: str | None = None
    send: tuple[str, ...] | None = None
    accept: tuple[str, ...] | None = None

    @property
    def label(self) -> str:
        """Return what a person calls it."""
        return f"{self.name} (device {self.device[:SHORT]})"


class Peers:
    """All paired devices."""

    def __init__(self, directory: Path, own: str) -> None:
        """``own``: this device, which is never its own peer."""
        self._path = directory / FILE
        self.own = own
        self._paired = _read(self._path)
        self._heard: list[Callable[[str], None]] = []

    def on_change(self, hear: Callable[[str], None]) -> None:
        """Call ``hear`` with each device that is paired, changed or unpaired from now on."""
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

    def claim(self, device: str, site: str) -> None:
        """Bind a site to a device; raise PeerError when it is another's, or the device not paired."""
        peer = self._paired.get(device)
        if peer is None:
            raise PeerError("this device is not paired")
        if site in peer.sites:
            return
        other = next((p for p in self._paired.values() if site in p.sites), None)
        if other is not None:
            raise PeerError(
                f"site {site} is spoken for by {other.label}",
                why=f"{peer.label} says that it is this site too",
                mend=f"if it has moved to the new device: changecapture-relay unpair {other.device[:SHORT]}",
            )
        if len(peer.sites) >= MAX_SITES:
            raise PeerError(f"{peer.label} speaks for {MAX_SITES} sites already")
        self.change(device, sites=(*peer.sites, site))

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
        rows = [asdict(paired[device]) for device in sorted(paired)]
        write_private(self._path, json.dumps({"peers": rows}, indent=1).encode())
        self._paired = paired
        for device in changed:
            for hear in self._heard:
                hear(device)


def _read(path: Path) -> dict[str, Paired]:
    content = read_private(path)
    if content is None:
        return {}
    try:
        return {row["device"]: _peer(row) for row in json.loads(content)["peers"]}
    except (ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} is damaged",
            why=str(error),
            mend="put it back from a backup; or remove it and pair this site anew",
        ) from error


def _peer(row: dict[str, Any]) -> Paired:
    names = {f.name for f in fields(Paired)}
    known = {name: value for name, value in row.items() if name in names}
    for name in ("sites", "send", "accept"):
        if isinstance(known.get(name), list):
            known[name] = tuple(known[name])
    return Paired(**known)

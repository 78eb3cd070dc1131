"""What two devices tell each other of trust whenever they greet: what may be had, and who is introduced.

An introduction is the list of the devices that its author has paired by hand, signed by the author. It
is believed of a device that a person here has allowed to introduce (``introducer``), and then it is the
whole truth: who is new on it is paired here, who was introduced by that device and is on it no longer is
unpaired. Introduced devices are not introduced further, so trust is never longer than one step from
a pairing by hand. A list that is older than the last one heard changes nothing.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from changecapture.core.scopes import Scopes, load_scopes
from changecapture.core.wire import check_number
from changecapture.errors import PeerError
from relay.messages import DEVICE, NAME_LIMIT, clean
from relay.trust.identity import Identity, verify_signature
from relay.trust.peers import Paired, Peers

MAX_INTRODUCED = 256


class Hello:
    """Writes and reads that part of a greeting."""

    def __init__(self, identity: Identity, peers: Peers) -> None:
        """``identity`` signs; ``peers`` says what to tell, and takes what is told."""
        self._identity = identity
        self._peers = peers

    def write(self, device: str) -> str:
        """Return what a paired device is told."""
        peer = self._peers.get(device)
        offers = peer.send if peer is not None else Scopes(but=False)
        listed = [
            {"device": p.device, "name": p.name}
            for p in self._peers.all()
            if p.introduced_by is None and p.device != device
        ]
        text = json.dumps(
            {"device": self._identity.device, "serial": self._peers.serial, "peers": listed[:MAX_INTRODUCED]}
        )
        return json.dumps(
            {
                "offers": offers.dump(),
                "introduction": text,
                "key": b64encode(self._identity.public_key).decode(),
                "signature": b64encode(self._identity.key.sign(text.encode())).decode(),
            }
        )

    def read(self, device: str, text: str) -> None:
        """Take what a paired device tells; raise PeerError when it is malformed."""
        try:
            told = json.loads(text)
            offers = load_scopes(told["offers"])
            introduction = self._verify(device, told)
            serial = check_number(introduction["serial"])
            listed = {_device(row): _name(row) for row in introduction["peers"][:MAX_INTRODUCED]}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise PeerError("a malformed greeting", why=clean(repr(error), 100)) from error
        self._peers.offered[device] = offers
        peer = self._peers.get(device)
        if peer is not None and peer.key != told["key"]:
            peer = self._peers.change(device, key=told["key"])
        if peer is not None and peer.introducer and serial > peer.heard:
            self._introduce(self._peers.change(device, heard=serial), listed)

    def _verify(self, device: str, told: dict[str, Any]) -> dict[str, Any]:
        text = told["introduction"].encode()
        key, signature = b64decode(told["key"]), b64decode(told["signature"])
        found: dict[str, Any] = json.loads(text)
        if found["device"] != device or not verify_signature(device, key, signature, text):
            raise PeerError("the introduction is not signed by the device that brings it")
        return found

    def _introduce(self, by: Paired, listed: dict[str, str]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        for device, name in listed.items():
            known = self._peers.get(device)
            if known is None and device != self._peers.own:
                new = Paired(device, name, now, introduced_by=by.device, send=by.send, accept=by.accept)
                self._peers.put(new)
            elif known is not None and known.introduced_by == by.device and known.name != name:
                self._peers.put(replace(known, name=name))
        for peer in self._peers.all():
            if peer.introduced_by == by.device and peer.device not in listed:
                self._peers.remove(peer.device)


def _device(row: dict[str, Any]) -> str:
    device = row["device"]
    if not isinstance(device, str) or not DEVICE.fullmatch(device):
        raise ValueError("not a device id")
    return device


def _name(row: dict[str, Any]) -> str:
    return clean(str(row["name"]), NAME_LIMIT) or "unnamed"

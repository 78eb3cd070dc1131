"""What is kept of bundles, in the state directory: receipts of peers, and which device spoke for which site.

A receipt is signed by the device that it is of, and is not secret: it says what a site holds by version
vector and which modules it takes, no row and no name. The one with the highest serial counts; serials only
grow, whatever the clock of their author does.
"""

import json
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from changecapture.core.wire import check_number
from changecapture.errors import ConfigError, PeerError, RetryLater
from changecapture.sync import PullRequest
from relay.messages import DEVICE, check_site
from relay.trust.identity import SHORT, Identity, verify_signature
from relay.trust.peers import Peers
from relay.trust.state import Lock, read_private, write_private

FILE = "bundles.json"
KIND = "changecapture receipt 1"
DAMAGED = "the receipt was changed or damaged on its way"
LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a device says that its site has and takes: ``request`` is how it would begin a pull (JSON)."""

    sender: str
    key: str
    addressee: str
    serial: int
    request: str

    @property
    def asked(self) -> PullRequest:
        """Return the request."""
        return PullRequest.from_json(self.request)


class Keep:
    """The file."""

    def __init__(self, state: Path, peers: Peers) -> None:
        """``peers`` knows which device speaks for a site that was met over the network."""
        self._path, self._peers = state / FILE, peers
        self._lock = Lock(state, "bundles.lock")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no other command work with bundles of this site meanwhile; raise RetryLater."""
        if not self._lock.take():
            raise RetryLater("another command makes or takes a bundle of this site")
        try:
            yield
        finally:
            self._lock.release()

    def find_receipt(self, device: str) -> Receipt | None:
        """Return the last receipt of a device."""
        found = self._read()["receipts"].get(device)
        return None if found is None else Receipt(**found)

    def put_receipt(self, receipt: Receipt) -> bool:
        """Keep a receipt; return whether it is newer than what was here."""
        known = self.find_receipt(receipt.sender)
        if known is not None and known.serial >= receipt.serial:
            return False
        kept = self._read()
        self._write({**kept, "receipts": {**kept["receipts"], receipt.sender: asdict(receipt)}})
        return True

    def bind(self, device: str, site: str) -> None:
        """Note that a device speaks for a site; raise PeerError when another one does."""
        kept = self._read()
        met = {known: peer.device for peer in self._peers.all() for known in peer.sites}
        other = {**kept["sites"], **met}.get(site, device)
        if other != device and self._peers.is_paired(other):
            raise PeerError(
                f"site {site} is spoken for by device {other[:SHORT]}",
                why=f"device {device[:SHORT]} says that it is this site too",
                mend=f"if it has moved to the new device: changecapture-relay unpair {other[:SHORT]}",
            )
        if kept["sites"].get(site) != device:
            self._write({**kept, "sites": {**kept["sites"], site: device}})

    def room(self, device: str) -> int:
        """Return how many parts of vectors that nobody here knew a device may still bring, in files too."""
        left = self._peers.terms(device).room or 0
        brought: int = self._read()["brought"].get(device, 0)
        return max(0, left - brought)

    def note_brought(self, device: str, number: int) -> None:
        """A device has brought so many in a file."""
        if number:
            kept = self._read()
            brought = kept["brought"].get(device, 0) + number
            self._write({**kept, "brought": {**kept["brought"], device: brought}})

    def next_serial(self) -> int:
        """Return a serial for a receipt of ours."""
        kept = self._read()
        serial: int = max(kept["serial"] + 1, int(time.time() * 1_000_000))
        self._write({**kept, "serial": serial})
        return serial

    def _read(self) -> dict[str, Any]:
        content = read_private(self._path)
        try:
            kept: dict[str, Any] = {"serial": 0, "receipts": {}, "sites": {}, "brought": {}}
            return kept if content is None else {**kept, **json.loads(content)}
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{self._path} is damaged",
                why=str(error),
                mend="remove it: the next bundles begin at the beginning",
            ) from error

    def _write(self, kept: dict[str, Any]) -> None:
        write_private(self._path, json.dumps(kept, indent=1).encode())


def write_receipt(identity: Identity, device: str, serial: int, request: PullRequest) -> bytes:
    """Return the text of a receipt for a device."""
    told = {
        "kind": KIND,
        "from": identity.device,
        "key": b64encode(identity.public_key).decode(),
        "to": device,
        "serial": serial,
        "request": request.to_json(),
    }
    text = json.dumps(told)
    signature = b64encode(identity.key.sign(text.encode())).decode()
    return json.dumps({"receipt": text, "signature": signature}, indent=1).encode()


def is_receipt(content: bytes) -> bool:
    """Return whether the beginning of a file may be that of a receipt."""
    return content.lstrip().startswith(b"{")


def names_receipt(content: bytes) -> bool:
    """Return whether the beginning of a file says that it is a receipt."""
    return is_receipt(content) and KIND.encode() in content


def read_receipt(content: bytes, own: str) -> Receipt:
    """Return the receipt in a text, its signature proved; raise PeerError, also when it is for others."""
    try:
        outer = json.loads(content)
        told = json.loads(outer["receipt"])
        if told["kind"] != KIND:
            raise PeerError("this file is no receipt of this version of changecapture")
        receipt = Receipt(
            told["from"], told["key"], told["to"], check_number(told["serial"]), told["request"]
        )
        key, signature = b64decode(receipt.key), b64decode(outer["signature"])
        if not DEVICE.fullmatch(receipt.sender) or not DEVICE.fullmatch(receipt.addressee):
            raise ValueError("not a device id")
        if not verify_signature(receipt.sender, key, signature, outer["receipt"].encode()):
            raise PeerError(DAMAGED, why="its signature does not hold", mend="copy it again")
        check_site(receipt.asked.site)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise PeerError(DAMAGED, why=type(error).__name__, mend="copy it again") from error
    if receipt.addressee != own:
        raise PeerError(f"the receipt is for device {receipt.addressee[:SHORT]}, this is {own[:SHORT]}")
    return receipt

"""Makes bundles and takes them: the verbs of ``changecapture.sync``, with a file for the network.

The first chunk is a greeting; each of the others is a batch. A bundle is a pull from its beginning to its
end: it begins at position 0 of the log, and passes over what the receipt of the addressee covers. So it is
complete for whoever holds what that receipt said, whatever came over the network since; who holds less (a
backup was restored there) refuses it. How far a bundle was taken is kept as the progress of a pull of its
own, so one that was cut goes on, and the pull over the network stays where it is.
"""

from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO
from uuid import uuid4

from changecapture.core.codec import Head, read_head
from changecapture.core.scopes import EVERY, Scopes, Terms, load_scopes, name_progress
from changecapture.core.vector import covers_vector, dump_vector
from changecapture.errors import ConfigError, PeerError
from changecapture.greeting import Greeting, greet, load_digests
from changecapture.lives import heal
from changecapture.patience import patiently
from changecapture.publish import publish
from changecapture.store.records import Direction, Exchanged
from changecapture.store.sqlstore import SqlStore
from changecapture.sync import BUNDLE, PullRequest, answer, receive
from relay.bundle.keep import Keep, Receipt, write_receipt
from relay.bundle.place import written_whole
from relay.bundle.seal import CutShort, Header, Writer, is_bundle, open_chunks, read_header
from relay.trust.identity import SHORT, Identity
from relay.trust.peers import Paired, Peers

Report = Callable[[int], None]
"""Called with how many changes have been written or read."""


@dataclass(frozen=True, slots=True)
class Site:
    """Who makes or takes a bundle: a site with its device, its peers, and what it keeps of bundles."""

    store: SqlStore
    identity: Identity
    peers: Peers
    keep: Keep


@dataclass(frozen=True, slots=True)
class Exported:
    """A bundle that was made. ``receipt``: the serial of that which it begins after (us since 1970)."""

    bundle: str
    entries: int
    bytes: int
    receipt: int | None


@dataclass(slots=True)
class Imported:
    """What a bundle came to. ``known``: all of it was here; ``whole``: false when the file ends early.

    ``healed``: changes that were published anew, as this database was restored or copied."""

    bundle: str
    sender: Paired
    entries: int = 0
    applied: int = 0
    parked: int = 0
    known: bool = False
    whole: bool = True
    healed: int = 0


def export_bundle(site: Site, peer: Paired, path: Path, report: Report) -> Exported:
    """Write what a peer lacks into a file, which is there whole or not at all; raise ChangeCaptureError."""
    store, receipt = site.store, site.keep.find_receipt(peer.device)
    key = _find_key(peer, receipt)
    began, bundle = store.read_clock(), uuid4().hex
    while patiently(partial(publish, store)):
        pass
    with written_whole(path, "bundle", is_bundle) as file:
        writer = Writer(file, site.identity, device=peer.device, key=key, bundle=bundle)
        entries = _write_batches(store, writer, peer, receipt, report)
        size = file.tell()
    _note(store, bundle, _name_site(peer, receipt) or peer.device, "out", entries, size, began)
    return Exported(bundle, entries, size, None if receipt is None else receipt.serial)


def import_bundle(site: Site, file: IO[bytes], report: Report) -> Imported:
    """Take a bundle; raise PeerError for one that is a stranger's, for others, or was changed.

    What came before the place where it was changed is genuine, and stays.
    """
    header, content = read_header(file)
    if header.sender == site.identity.device:
        raise PeerError("the bundle was made by this device: carry it to the site that it is for")
    peer = site.peers.get(header.sender)
    if peer is None:
        raise PeerError(
            f"the bundle is from device {header.sender[:SHORT]}, which is not paired with this site",
            mend="changecapture-relay pair, at both sites",
        )
    taken = Imported(header.bundle, peer)
    try:
        _take_chunks(site, file, header, content, taken, report)
    except CutShort:
        taken.whole = False
    return taken


def make_receipt(site: Site, peer: Paired) -> bytes:
    """Return a receipt for a peer: what is here by now, and which modules are taken from it."""
    own = site.store.read_site()
    request = PullRequest(
        own.origin, 0, dump_vector(site.store.read_vector()), 0, 0, scopes=peer.accept.dump()
    )
    return write_receipt(site.identity, peer.device, site.keep.next_serial(), request)


def take_receipt(site: Site, receipt: Receipt) -> tuple[Paired, bool]:
    """Keep a receipt of a peer; return whose it is and whether it is news. PeerError: it is a stranger's."""
    peer = site.peers.get(receipt.sender)
    if peer is None:
        raise PeerError(
            f"the receipt is from device {receipt.sender[:SHORT]}, which is not paired with this site",
            mend="changecapture-relay pair, at both sites",
        )
    site.keep.bind(receipt.sender, receipt.asked.site)
    return peer, site.keep.put_receipt(receipt)


def _find_key(peer: Paired, receipt: Receipt | None) -> bytes:
    text = peer.key or (receipt.key if receipt is not None else "")
    if not text:
        raise ConfigError(
            f"the key of {peer.label} is not known here yet",
            why="its relay has not been met since the two were paired",
            mend="let both relays run until they have met, or bring a receipt from there: bundle receipt",
        )
    return b64decode(text)


def _name_site(peer: Paired, receipt: Receipt | None) -> str:
    """Return the site that a bundle is for, '' when that is not known."""
    return receipt.asked.site if receipt is not None else next(iter(peer.sites), "")


def _write_batches(
    store: SqlStore, writer: Writer, peer: Paired, receipt: Receipt | None, report: Report
) -> int:
    to = _name_site(peer, receipt)
    writer.write(greet(store, to).to_json().encode(), last=False)
    taken = load_scopes(receipt.asked.scopes) if receipt is not None else EVERY
    request = PullRequest(
        to,
        store.read_site().epoch,
        receipt.asked.vector if receipt is not None else "{}",
        0,
        0,
        scopes=(peer.send & taken).dump(),
    )
    terms, entries, last = Terms(send=peer.send), 0, False
    while not last:
        made = patiently(partial(answer, store, request, terms))
        entries, last = entries + made.entries, made.last
        writer.write(made.payload, last=last)
        request = replace(request, epoch=made.epoch, after=made.position, end=made.end, mark=made.mark)
        report(entries)
    return entries


def _take_chunks(
    site: Site, file: IO[bytes], header: Header, content: bytes, taken: Imported, report: Report
) -> None:
    store, began = site.store, site.store.read_clock()
    chunks = open_chunks(file, site.identity, header, content)
    greeting = Greeting.from_json(next(chunks, b"").decode())
    site.keep.bind(header.sender, greeting.site)
    taken.healed = _heal(store, greeting)
    scopes: Scopes | None = None
    for payload in chunks:
        head = read_head(payload)
        if scopes is None:
            scopes = _check_begin(store, taken.sender, head)
            taken.known = covers_vector(store.read_vector(), head.target)
        if not taken.known and _line_up(store, greeting.site, head):
            room = site.keep.room(taken.sender.device)
            terms = Terms(accept=taken.sender.accept, offered=scopes, room=room)
            got = patiently(partial(receive, store, greeting.site, payload, terms, BUNDLE))
            site.keep.note_brought(taken.sender.device, got.brought)
            taken.entries, taken.applied = taken.entries + got.entries, taken.applied + got.applied
            taken.parked += got.parked
            report(taken.entries)
    _note(store, header.bundle, greeting.site, "in", taken.entries, file.tell(), began)


def _heal(store: SqlStore, greeting: Greeting) -> int:
    """Heal what the sender holds otherwise under our names (``changecapture.lives``).

    A stick may come late: nothing else of a greeting, such as in which life the sender was, is believed.
    """
    claims = load_digests(greeting.digests).get(store.read_site().origin, {})
    return patiently(partial(heal, store, claims)).anew


def _check_begin(store: SqlStore, sender: Paired, head: Head) -> Scopes:
    """Return the modules of a bundle; raise PeerError when not all are taken, or it begins above us."""
    if not covers_vector(store.read_vector(), head.since):
        raise PeerError(
            "the bundle begins after what is here",
            why="this database was put back to an earlier state after its last receipt",
            mend=f"changecapture bundle receipt --for {sender.name} FILE, and carry that there",
        )
    if not sender.accept.covers(head.scopes):
        raise PeerError(
            f"the bundle carries modules that are not taken from {sender.label}",
            mend="carry a receipt there (changecapture bundle receipt): the next bundle leaves them out",
        )
    return head.scopes


def _line_up(store: SqlStore, sender: str, head: Head) -> bool:
    """Return whether a batch is still to be taken; let the progress stand where it begins.

    That what lies before is here is known of less than of what the progress says. Where a bundle begins
    nothing is claimed at all.
    """
    name = name_progress(sender, head.scopes) + BUNDLE
    progress = store.read_progress(name)
    place = progress.epoch, progress.end, store.read_met(name).mark
    same = head.end > 0 and place == (head.epoch, head.end, head.mark)
    if same and head.position <= progress.position:
        return False
    if same and head.after < progress.position:
        store.write_progress(replace(progress, position=head.after))
    elif head.after == 0:
        store.write_progress(replace(progress, epoch=head.epoch, position=0, end=0, target="{}"))
    return True


def _note(
    store: SqlStore, bundle: str, peer: str, direction: Direction, entries: int, size: int, began: int
) -> None:
    """Write down that a bundle was made or taken, where `status` shows the last exchanges."""
    store.write_exchanges([Exchanged(bundle, peer, direction, entries, size, began, store.read_clock())])

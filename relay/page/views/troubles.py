"""What is not well."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from changecapture.status import Status
from relay.page.views.peers import PeerView
from relay.page.views.sight import HOUR

SKEW_US = 5_000_000
SILENT_US = HOUR
STALE_US = 60_000_000


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is not well. ``what`` names the text of the template; ``bad``: capture or sync suffers."""

    what: str
    bad: bool = False
    count: int = 0
    name: str = ""
    at: int = 0


def find_troubles(status: Status, peers: Collection[PeerView]) -> list[Trouble]:
    """Return what is not well, the worst first; nothing: all is well."""
    found = [Trouble("missed", bad=True, name=missed.table, at=missed.last_at) for missed in status.missed]
    if status.copied_at is not None:
        found.append(Trouble("copied", bad=True, at=status.copied_at))
    oldest = status.oldest_captured_at
    if oldest is not None and status.now - oldest > STALE_US:
        found.append(Trouble("unpublished", bad=True, count=status.captured, at=oldest))
    if not status.finished:
        found.append(Trouble("unfinished", count=status.to_backfill))
    if status.conflicts:
        found.append(Trouble("conflicts", count=status.conflicts))
    if status.parked:
        found.append(Trouble("parked", count=sum(status.parked.values())))
    if not peers:
        found.append(Trouble("alone"))
    for peer in peers:
        found += _find_peer_troubles(status.now, peer)
    return sorted(found, key=lambda trouble: not trouble.bad)


def _find_peer_troubles(now: int, peer: PeerView) -> Iterable[Trouble]:
    if peer.copied_at is not None:
        yield Trouble("peer copied", bad=True, name=peer.name, at=peer.copied_at)
    if peer.state == "unmet":
        yield Trouble("unmet", name=peer.name)
    if peer.waiting and peer.state != "speaking":
        yield Trouble("waiting", name=peer.name, count=peer.waiting, at=peer.in_step_at or 0)
    elif peer.state == "silent" and now - (peer.contact_at or 0) > SILENT_US:
        yield Trouble("silent", name=peer.name, at=peer.contact_at or 0)
    if peer.skew is not None and abs(peer.skew) > SKEW_US + (peer.skew_error or 0):
        yield Trouble("skew", name=peer.name, count=abs(peer.skew) // 1_000_000)
    if not peer.alike:
        yield Trouble("unlike", name=peer.name)

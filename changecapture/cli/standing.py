"""How a site stands, in words: in step with whom, what waits, what a person should look at.

One look is to be enough: ``sum_up`` is one line, and says that all is well only where nothing is known to be
amiss. A peer that is out of reach is no trouble in itself; what waits for it is named.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from changecapture.cli.output import count, describe_age

if TYPE_CHECKING:
    from changecapture.status import PeerStatus, Status

STALE_US = 60_000_000
"""What is captured and not published for longer: no relay runs, or it cannot."""


def sum_up(status: "Status", drift: str, names: Mapping[str, str]) -> str:
    """Return how the site stands, as one line."""
    troubles = [*_find_own(status, drift), *_find_waiting(status, names)]
    if troubles:
        return f"look at: {'; '.join(troubles)}"
    if not status.peers:
        return "all is well here; no other site was met yet"
    steps = [
        f"{names.get(p.site, p.site)} ({_ago(status, min(p.received_all_at, p.sent_all_at))})"
        for p in status.peers
        if p.in_step
    ]
    return f"all is well: in step with {', '.join(steps)}" if steps else "all is well here"


def describe_standing(status: "Status", peer: "PeerStatus") -> str:
    """Return whether a peer is in step, or what waits."""
    if peer.pulling:
        return f"taking what it has, {peer.to_come} to come" if peer.to_come else "taking what it has"
    if peer.waiting:
        return f"{_count_waiting(peer)} for it since {_ago(status, peer.sent_all_at)}"
    if peer.in_step:
        return f"in step {_ago(status, min(peer.received_all_at, peer.sent_all_at))}"
    if peer.received_all_at:
        return "all of it is here; what it has is not known yet"
    return "not known yet"


def _find_own(status: "Status", drift: str) -> Iterator[str]:
    """Yield what is amiss at the site itself."""
    if not status.finished:
        yield "the installation is not finished"
    if status.copied_at is not None:
        yield "a copy of this database is alive"
    if drift:
        yield "drift"
    if status.missed:
        yield "changes were missed"
    oldest = status.oldest_captured_at
    if oldest is not None and status.now - oldest > STALE_US:
        yield f"{count(status.captured, 'change')} captured and not published: the relay does not run"
    if status.parked:
        yield f"{count(sum(status.parked.values()), 'row')} parked"
    if status.conflicts:
        yield count(status.conflicts, "conflict")
    if status.twice_named:
        yield f"{count(len(status.twice_named), 'name')} given twice"


def _find_waiting(status: "Status", names: Mapping[str, str]) -> Iterator[str]:
    for peer in status.peers:
        name = names.get(peer.site, peer.site)
        if peer.copied_at is not None:
            yield f"a copy of {name} is alive beside it"
        if peer.waiting:
            yield f"{_count_waiting(peer)} for {name} since {_ago(status, peer.sent_all_at)}"


def _count_waiting(peer: "PeerStatus") -> str:
    return f"{count(peer.waiting, 'change')} {'waits' if peer.waiting == 1 else 'wait'}"


def _ago(status: "Status", at: int) -> str:
    return f"{describe_age(status.now - at)} ago"

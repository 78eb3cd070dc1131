"""The paired devices, with what is known of their sites."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from relay.meter import Wire
from relay.page.views.sight import Sight, Traffic

FRESH_US = 120_000_000
"""A site that only calls us was met so lately when it is there."""


@dataclass(frozen=True, slots=True)
class PeerView:
    """A paired device. ``state``: "speaking", "silent" or "unmet"; ``skew``: clock ahead of ours, us.

    ``to_come``, ``waiting``: see PeerStatus; ``in_step_at``: when both last held the same.
    """

    device: str
    name: str
    state: str
    paired_at: str
    addresses: tuple[str, ...]
    send: str
    accept: str
    introducer: bool
    introduced_by: str | None
    contact_at: int | None = None
    skew: int | None = None
    skew_error: int | None = None
    to_come: int = 0
    waiting: int = 0
    in_step: bool = False
    in_step_at: int | None = None
    copied_at: int | None = None
    received: int = 0
    traffic: Traffic = field(default_factory=Traffic)
    owner: str = ""
    contact: str = ""
    alike: bool = True
    wire: Wire | None = None
    """What went over the wire since the relay began."""


def view_peers(
    sight: Sight, listed: Iterable[Mapping[str, Any]], speaking: Collection[str]
) -> list[PeerView]:
    """Return the paired devices, as the order ``peers`` lists them, with what is known of their sites."""
    return [_view_peer(sight, peer, speaking) for peer in listed]


def _view_peer(sight: Sight, peer: Mapping[str, Any], speaking: Collection[str]) -> PeerView:
    sites = list(peer["sites"])
    site = sites[-1] if sites else ""
    met = next((p for p in sight.status.peers if p.site == site), None)
    said = next((i for i in sight.status.instances if i.base_uuid == site), None)
    traffic = sight.traffic.get(site, Traffic())
    in_step_at = min(met.received_all_at, met.sent_all_at) if met else 0
    times = [met.contact_at if met else 0, traffic.received_at or 0, traffic.sent_at or 0]
    contact_at = max(times) or None
    fresh = contact_at is not None and sight.status.now - contact_at < FRESH_US
    state = "speaking" if site in speaking or fresh else "silent" if contact_at else "unmet"
    return PeerView(
        device=peer["device"],
        name=peer["name"],
        state=state,
        paired_at=peer["paired_at"],
        addresses=tuple(peer.get("addresses", ())),
        send=peer["send"],
        accept=peer["accept"],
        introducer=bool(peer["introducer"]),
        introduced_by=peer["introduced_by"],
        contact_at=contact_at,
        skew=met.clock_offset if met else None,
        skew_error=met.clock_error if met else None,
        to_come=met.to_come if met else 0,
        waiting=met.waiting if met else 0,
        in_step=met.in_step if met else False,
        in_step_at=in_step_at or None,
        copied_at=met.copied_at if met else None,
        received=met.received if met else 0,
        traffic=traffic,
        owner=said.owner if said else "",
        contact=said.contact if said else "",
        alike=said.alike if said else True,
        wire=Wire(**peer["wire"]) if "wire" in peer else None,
    )

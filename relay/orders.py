"""What a person may order: pair, join, peers, unpair, allow. The same by a running relay and without one.

Each order yields what there is to say as it comes, JSON objects; the last has "done".
"""

from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

from changecapture.errors import ConfigError
from relay.address import parse_address
from relay.node import Node
from relay.trust.identity import SHORT
from relay.trust.peers import Paired

Said = dict[str, Any]


class Orders:
    """The orders, over a node."""

    def __init__(self, node: Node) -> None:
        """``node`` has been started where the order needs the network: pair and join."""
        self._node = node

    async def carry_out(self, request: Said) -> AsyncIterator[Said]:
        """Do what a request names; raise ConfigError and PeerError."""
        order = ORDERS.get(str(request.get("order")))
        if order is None:
            raise ConfigError("the running relay does not know this command", mend="restart it: it is older")
        async for said in order(self, request):
            yield said

    async def pair(self, request: Said) -> AsyncIterator[Said]:
        """Show a code; wait for who types it."""
        code, done = self._node.desk.open(introducer=bool(request.get("introducer")))
        addresses = [str(address) for address in self._node.addresses()]
        yield {"code": code, "device": self._node.identity.device[:SHORT], "addresses": addresses}
        yield {"done": _describe(await done)}

    async def join(self, request: Said) -> AsyncIterator[Said]:
        """Pair with who shows a code."""
        at = parse_address(_text(request, "at")) if request.get("at") else None
        introducer = bool(request.get("introducer"))
        yield {"done": _describe(await self._node.join(_text(request, "code"), at, introducer=introducer))}

    async def list_peers(self, _: Said) -> AsyncIterator[Said]:
        """Tell who is paired, and who is not but within reach."""
        near = self._node.neighbours.all()
        peers = self._node.peers
        yield {
            "done": {
                "device": self._node.identity.device[:SHORT],
                "peers": [
                    {**_describe(peer), "addresses": [str(a) for a in near.get(peer.device, ())]}
                    for peer in peers.all()
                ],
                "others": [
                    {"device": device, "addresses": [str(a) for a in addresses]}
                    for device, addresses in sorted(near.items())
                    if not peers.is_paired(device)
                ],
            }
        }

    async def unpair(self, request: Said) -> AsyncIterator[Said]:
        """Let a device in no more."""
        gone = self._node.peers.remove(self._node.peers.find(_text(request, "peer")).device)
        yield {"done": [_describe(peer) for peer in gone]}

    async def allow(self, request: Said) -> AsyncIterator[Said]:
        """Change what a peer may do."""
        peer = self._node.peers.find(_text(request, "peer"))
        yield {
            "done": _describe(
                self._node.peers.change(peer.device, introducer=bool(request.get("introducer")))
            )
        }


ORDERS: dict[str, Any] = {
    "pair": Orders.pair,
    "join": Orders.join,
    "peers": Orders.list_peers,
    "unpair": Orders.unpair,
    "allow": Orders.allow,
}
ON_THE_NETWORK = ("pair", "join")
"""Orders that need the port and the announcement."""


def _text(request: Said, name: str) -> str:
    """Return a text of a request; a command of another version may not have it."""
    value = request.get(name)
    if not isinstance(value, str):
        raise ConfigError(f"the command lacks '{name}'", mend="restart the relay: it is of another version")
    return value


def _describe(peer: Paired) -> Said:
    return asdict(peer)

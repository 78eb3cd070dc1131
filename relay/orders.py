"""What a person may order, of a relay that runs and without one: pair, join, peers, unpair, allow, limit.

Each order yields what there is to say as it comes, JSON objects; the last has "done".
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from typing import Any

from changecapture.core.scopes import Scopes
from changecapture.errors import ConfigError
from relay.address import parse_address
from relay.clients import fingerprint
from relay.node import Node
from relay.trust.identity import SHORT
from relay.trust.peers import Paired

Said = dict[str, Any]


class Orders:
    """The orders, over a node."""

    def __init__(
        self,
        node: Node,
        modules: Callable[[], Awaitable[list[str]]] | None = None,
        ask: Callable[[Paired, str], Awaitable[str]] | None = None,
    ) -> None:
        """``node`` has been started where the order needs the network: pair and join; ``modules`` tells
        those of the database, where one is at hand; ``ask`` carries a question to a peer, while a relay
        runs."""
        self._node = node
        self._modules = modules
        self._ask = ask

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
        peers, runs = self._node.peers, self._node.runs
        yield {
            "done": {
                "device": self._node.identity.device[:SHORT],
                "copied": runs.are_beside(self._node.identity.device),
                "peers": [
                    {
                        **_describe(peer),
                        "addresses": [str(a) for a in near.get(peer.device, ())],
                        "wire": asdict(self._node.meter.of(peer.device)),
                        "copied": runs.are_beside(peer.device),
                    }
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

    async def verify(self, request: Said) -> AsyncIterator[Said]:
        """Carry a question about what it shows to a peer."""
        if self._ask is None:
            raise ConfigError("no relay runs here", mend="start it: changecapture-relay run")
        peer = self._node.peers.find(_text(request, "peer"))
        yield {"done": {"answer": await self._ask(peer, _text(request, "question"))}}

    async def allow(self, request: Said) -> AsyncIterator[Said]:
        """Change what a peer may do."""
        peer = self._node.peers.find(_text(request, "peer"))
        yield {
            "done": _describe(
                self._node.peers.change(peer.device, introducer=bool(request.get("introducer")))
            )
        }

    async def limit(self, request: Said) -> AsyncIterator[Said]:
        """Change which modules a peer is sent, and which are taken from it."""
        peer = self._node.peers.find(_text(request, "peer"))
        limits = {name: read_modules(_text(request, name)) for name in ("send", "accept") if name in request}
        known = await self._modules() if self._modules is not None else None
        for scopes in limits.values():
            _check_known(scopes, known)
        yield {
            "done": _describe(self._node.peers.change(peer.device, **limits)),
            "checked": known is not None,
        }

    async def add_token(self, request: Said) -> AsyncIterator[Said]:
        """Let a program in; its token is told once."""
        limits = [read_modules(_text(request, name)) for name in ("send", "accept")]
        known = await self._modules() if self._modules is not None else None
        for scopes in limits:
            _check_known(scopes, known)
        token = self._node.tokens.add(_text(request, "name"), *limits)
        yield {"done": {"token": token, "fingerprint": fingerprint(self._node.identity)}}

    async def list_tokens(self, _: Said) -> AsyncIterator[Said]:
        """Tell which programs have a token."""
        found = [
            {
                "name": token.name,
                "added_at": token.added_at,
                "send": tell_modules(token.send),
                "accept": tell_modules(token.accept),
            }
            for token in self._node.tokens.all()
        ]
        yield {"done": {"tokens": found}}

    async def revoke_token(self, request: Said) -> AsyncIterator[Said]:
        """Let a program in no more."""
        name = _text(request, "name")
        self._node.tokens.revoke(name)
        yield {"done": {"revoked": name}}


def read_modules(text: str) -> Scopes:
    """Return the modules in 'all', 'none', 'a,b' or 'all but a,b'; raise ConfigError."""
    words = [word for word in re.split(r"[\s,]+", text.strip()) if word]
    if words in (["all"], ["none"]):
        return Scopes(but=words == ["all"])
    but = words[:2] == ["all", "but"]
    names = words[2:] if but else words
    if not names or "all" in names or "but" in names:
        raise ConfigError(f"'{text}' names no modules", mend="write all, none, cr,gis or: all but mpr")
    return Scopes(frozenset(names), but)


def tell_modules(scopes: Scopes) -> str:
    """Return what ``read_modules`` reads."""
    names = ",".join(sorted(scopes.names))
    return ("all but " * bool(names) + names or "all") if scopes.but else names or "none"


def _check_known(scopes: Scopes, known: list[str] | None) -> None:
    unknown = sorted(scopes.names - set(known)) if known is not None else []
    if unknown:
        raise ConfigError(
            f"no synced table here is of the module {unknown[0]}",
            why=f"the modules are {', '.join(known or ())}",
            mend="a single table is held back by giving it a module of its own in the profile",
        )


ORDERS: dict[str, Any] = {
    "pair": Orders.pair,
    "join": Orders.join,
    "peers": Orders.list_peers,
    "unpair": Orders.unpair,
    "allow": Orders.allow,
    "limit": Orders.limit,
    "verify": Orders.verify,
    "token add": Orders.add_token,
    "token list": Orders.list_tokens,
    "token revoke": Orders.revoke_token,
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
    told = {"send": tell_modules(peer.send), "accept": tell_modules(peer.accept)}
    return {**asdict(peer), **told}

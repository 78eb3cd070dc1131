"""Pairing from the end where the code is typed: find who shows it, prove, be proved to.

Only devices that have the code's number are called, one after the other: each of them gets one guess
at the words, and the first wrong proof ends it.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from changecapture.errors import ConfigError, PeerError, RetryLater
from relay.address import Address
from relay.clock import Clock, pause
from relay.trust.code import number_of, read_code
from relay.trust.desk import make_paired
from relay.trust.pairing import Caller
from relay.trust.peers import Paired, Peers

FIND_S = 30.0
AGAIN_S = 1.0
CONFIRMS = 3


class Calls(Protocol):
    """The calls that pairing makes (``relay.client``)."""

    async def identify(self, address: Address) -> str:
        """Return which device answers at an address."""

    async def pair(self, address: Address, device: str, message: str, name: str) -> tuple[str, str, str]:
        """Return message, name and proof."""

    async def confirm(self, address: Address, device: str, proof: str) -> bool:
        """Return whether the device has paired this one."""


class Join:
    """One code that was typed here."""

    def __init__(
        self,
        code: str,
        *,
        own: str,
        name: str,
        peers: Peers,
        calls: Calls,
        clock: Clock,
        introducer: bool = False,
    ) -> None:
        """``own``: this device; ``name``: this site's. Raises ConfigError when ``code`` is none."""
        self._number, self._code = read_code(code)
        self._own = own
        self._name = name
        self._peers = peers
        self._calls = calls
        self._clock = clock
        self._introducer = introducer
        self._why = "no other site was found on this network"

    async def find(self, addresses: Callable[[], Iterable[Address]]) -> Paired:
        """Pair with who shows the code at one of the addresses, asked for again until one does."""
        end = self._clock.seconds() + FIND_S
        while True:
            for address in addresses():
                try:
                    paired = await self._try(address)
                except RetryLater as error:
                    self._why = f"{address}: {error}"
                else:
                    if paired is not None:
                        return paired
            if self._clock.seconds() >= end:
                raise ConfigError(
                    "nobody within reach shows this code",
                    why=self._why,
                    mend="name the other machine: --at host:port, as it says itself",
                )
            await pause(self._clock, AGAIN_S)

    async def _try(self, address: Address) -> Paired | None:
        """Pair with the device at an address, if it may be the one; None when it is another."""
        device = await self._calls.identify(address)
        if device == self._own or number_of(device) != self._number:
            self._why = f"{address}: this code is of another machine"
            return None
        caller = Caller(self._code, own=self._own, other=device, name=self._name)
        message, name, proof = await self._calls.pair(address, device, caller.message, self._name)
        try:
            own_proof = caller.check(message, name, proof)
        except PeerError:
            await self._give_up(address, device)
            raise
        if not await self._confirm(address, device, own_proof):
            raise PeerError("the other end has not confirmed the pairing", mend="pair again")
        return make_paired(self._peers, device, name or str(address), introducer=self._introducer)

    async def _confirm(self, address: Address, device: str, proof: str) -> bool:
        """Prove it; an answer that was lost is asked for again, else only one end would be paired."""
        for left in reversed(range(CONFIRMS)):
            try:
                return await self._calls.confirm(address, device, proof)
            except RetryLater:
                if not left:
                    raise
                await pause(self._clock, AGAIN_S)
        raise AssertionError

    async def _give_up(self, address: Address, device: str) -> None:
        """Let the other end know that its code is used up."""
        try:
            await self._calls.confirm(address, device, "")
        except (RetryLater, PeerError):
            pass

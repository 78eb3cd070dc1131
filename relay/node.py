"""This machine among others, whatever its sites are: identity, port, discovery, pairing.

It needs no database: two machines can be paired before anything is installed.
"""

from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread

from changecapture.core.codec import PROTOCOL
from changecapture.errors import ConfigError
from relay.address import Address, own_addresses
from relay.client import Client
from relay.clock import Reactor
from relay.config import RelayConfig
from relay.discovery import Discovery, Network
from relay.log import Log
from relay.meter import Meter
from relay.neighbours import Neighbours
from relay.pace import Pace
from relay.resource import Api, Server
from relay.runs import Runs
from relay.trust.code import number_of, read_code
from relay.trust.desk import Desk
from relay.trust.hello import Hello
from relay.trust.identity import SHORT, load_identity
from relay.trust.join import Join
from relay.trust.peers import Paired, Peers
from relay.trust.state import Lock, open_state
from relay.trust.tokens import Tokens


class Node:
    """The parts, and what a pairing or unpairing means for each."""

    def __init__(
        self, config: RelayConfig, *, reactor: Any, rng: Random, log: Log, network: Network | None = None
    ) -> None:
        """Make the parts; raise ConfigError when the state directory cannot be used."""
        directory = open_state(config.state)
        self._lock = Lock(directory)
        if not self._lock.take():
            raise ConfigError(
                f"another program works with {directory}",
                why="a relay runs here already, or a command has not ended",
                mend="changecapture-relay peers asks the relay; end it before another is started",
            )
        self.identity = load_identity(directory)
        self.peers = Peers(directory, self.identity.device, config.most_brought)
        self.hello = Hello(self.identity, self.peers)
        self.tokens = Tokens(directory)
        self.pace = Pace(reactor)
        self.meter = Meter()
        self.runs = Runs(reactor)
        self.client = Client(
            reactor, identity=self.identity, is_paired=self.peers.may_greet, meter=self.meter
        )
        self.desk = Desk(own=self.identity.device, name=config.name, peers=self.peers, clock=reactor)
        self.neighbours = Neighbours(own=self.identity.device, is_paired=self.peers.is_paired)
        self.api = Api(desk=self.desk, peers=self.peers, pace=self.pace, log=log)
        self.moved: Callable[[], None] = lambda: None
        """Told when this machine has other addresses."""
        self.port = 0
        """The port that it listens on, once started."""
        self._server = Server(
            self.api,
            identity=self.identity,
            peers=self.peers,
            desk=self.desk,
            meter=self.meter,
            reactor=reactor,
        )
        self._discovery: Discovery | None = None
        self._config = config
        self._reactor: Reactor = reactor
        self._rng = rng
        self._log = log
        self._network = network
        self.peers.on_change(self._changed)

    def start(self) -> None:
        """Open the port, announce it, look for others; raise ConfigError when the port cannot be had."""
        host = self._config.host
        try:
            self.port = self._server.listen(host, self._config.port)
        except CannotListenError as error:
            raise ConfigError(
                f"cannot listen on {Address(host, self._config.port)}",
                why=str(error.socketError),
                mend="stop what holds the port, or set another [listen] port",
            ) from error
        self._log.info(f"listening on {Address(host, self.port)}, device {self.identity.device[:SHORT]}")
        if self._config.discovery:
            self._discover()

    async def stop(self) -> None:
        """End everything."""
        self.desk.close()
        if self._discovery is not None:
            await self._discovery.stop()
        await self.client.close()
        await self._server.close()
        self._lock.release()

    def addresses(self) -> list[Address]:
        """Return where others reach this machine, now."""
        return [Address(host, self.port) for host in own_addresses(self._config.host)]

    async def join(self, code: str, at: Address | None, *, introducer: bool = False) -> Paired:
        """Pair with who shows a code: at an address, or somewhere on this network."""
        number, _ = read_code(code)
        joining = Join(
            code,
            own=self.identity.device,
            name=self._config.name,
            peers=self.peers,
            calls=self.client,
            clock=self._reactor,
            introducer=introducer,
        )
        return await joining.find(lambda: [at] if at else self._numbered(number))

    def _numbered(self, number: int) -> Iterator[Address]:
        """Yield the addresses of the neighbours that a code may be of."""
        for device, addresses in self.neighbours.all().items():
            if number_of(device) == number:
                yield from addresses

    def _discover(self) -> None:
        self._discovery = Discovery(
            device=self.identity.device,
            protocol=PROTOCOL,
            port=self.port,
            addresses=lambda: own_addresses(self._config.host),
            moved=self._moved,
            service=self._config.service,
            interfaces=self._config.interfaces,
            found=self.neighbours,
            reactor=self._reactor,
            in_thread=deferToThread,
            rng=self._rng,
            log=self._log,
            network=self._network,
        )
        self._discovery.start()

    def _moved(self) -> None:
        """This machine has other addresses than before."""
        for peer in self.peers.all():
            self.client.forget(peer.device)
        self.moved()

    def _changed(self, before: Paired | None, after: Paired | None) -> None:
        """A device was paired, changed or unpaired."""
        changed = after or before
        assert changed is not None
        if after is None:
            self._server.door.forget(changed.device)
            self.client.forget(changed.device)
            self.pace.forget(changed.device)
        self.neighbours.changed(changed.device)

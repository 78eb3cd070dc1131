"""Finding other sites by zeroconf (``_sahana-sync._tcp.local.``): addresses, and nothing but.

- zeroconf runs in its own thread, on any reactor. What it calls only passes a name to the reactor,
  and never raises: an exception there would end its thread without a word.
- Everything that takes time (opening 0.3 s, registering 1.7 s, resolving up to 3 s, closing) runs
  in the reactor's thread pool.
- A camp boots without a network: opening is tried again in the background, for ever.
- The text record carries the site's id and the protocol, nothing about the organisation: everybody
  on the network reads it. The name is the beginning of the id, a label that may be changed on a
  clash.
- An announcement says nothing about life: a site that was killed stays announced for up to 75
  minutes. Whether a peer is there is known from calls alone.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from zeroconf import ServiceBrowser, ServiceInfo, ServiceStateChange, Zeroconf

from relay.address import WHY_LOOPBACK, Address, is_loopback, normal_host
from relay.clock import Reactor, cancelled, pause
from relay.log import Log
from relay.messages import SITE, clean
from relay.session import MAX_WAIT_S, back_off

RESOLVE_MS = 3000
TRIES = 3
TRY_AGAIN_S = 2.0
MAX_NAMES = 256

Handler = Callable[..., None]
InThread = Callable[..., Deferred[Any]]


class Network(Protocol):
    """What discovery needs of zeroconf; all of it blocks."""

    def open(self, interfaces: list[str], info: ServiceInfo, handler: Handler) -> Any:
        """Announce and browse; return what ``resolve`` and ``close`` take. Raises anything."""

    def resolve(self, zeroconf: Any, service: str, name: str) -> ServiceInfo | None:
        """Return the port, the addresses and the text record of a name."""

    def close(self, zeroconf: Any) -> None:
        """Say goodbye and end the threads."""


class ZeroconfNetwork:
    """The real one."""

    def open(self, interfaces: list[str], info: ServiceInfo, handler: Handler) -> Zeroconf:
        """See Network. Browses first: others are found while the name is being probed."""
        zeroconf = Zeroconf(interfaces=interfaces)
        try:
            ServiceBrowser(zeroconf, info.type, handlers=[handler])
            zeroconf.register_service(info, allow_name_change=True)
        except BaseException:
            zeroconf.close()
            raise
        return zeroconf

    def resolve(self, zeroconf: Zeroconf, service: str, name: str) -> ServiceInfo | None:
        """See Network."""
        return zeroconf.get_service_info(service, name, RESOLVE_MS)

    def close(self, zeroconf: Zeroconf) -> None:
        """See Network."""
        zeroconf.close()


class Found(Protocol):
    """Takes what was found (``relay.roster``)."""

    def announce(self, source: str, addresses: list[Address], site: str | None = None) -> None:
        """The name stands for a site at these addresses."""

    def forget(self, source: str) -> None:
        """It does no longer."""


class Discovery:
    """Announces this site and hands the addresses of others to ``found``, until ``stop``."""

    def __init__(
        self,
        *,
        site: str,
        protocol: int,
        address: Address,
        service: str,
        interfaces: tuple[str, ...],
        found: Found,
        reactor: Reactor,
        in_thread: InThread,
        rng: Random,
        log: Log,
        network: Network | None = None,
    ) -> None:
        """``address`` is where this site listens; ``in_thread`` is deferToThread."""
        self._site = site
        self._info = describe(service, site, protocol, address)
        self._interfaces = list(interfaces)
        self._found = found
        self._reactor = reactor
        self._in_thread = in_thread
        self._rng = rng
        self._log = log
        self._network: Network = network or ZeroconfNetwork()
        self._zeroconf: Any = None
        self._opening: Deferred[None] | None = None
        self._nap: Deferred[None] | None = None
        self._stopped = False
        self._resolving: dict[str, Deferred[None]] = {}
        self._told: set[str] = set()

    def start(self) -> None:
        """Begin to open, in the background."""
        self._opening = Deferred.fromCoroutine(self._open())

    async def stop(self) -> None:
        """Say goodbye, and wait until the threads have ended."""
        self._stopped = True
        for resolving in list(self._resolving.values()):
            resolving.cancel()
        # Not the opening itself: what a thread is about to open must be closed.
        if self._nap is not None:
            self._nap.cancel()
        opening, self._opening = self._opening, None
        if opening is not None:
            await opening
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await self._in_thread(self._network.close, zeroconf)

    def changed(self, zeroconf: Any, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Take what the browser says, in its thread. Never raises."""
        try:
            self._reactor.callFromThread(self._note, zeroconf, name, state_change)
        except Exception:
            # The reactor is gone; so will be the browser in a moment.
            pass

    async def _open(self) -> None:
        failures = 0
        told = ""
        while not self._stopped:
            try:
                self._zeroconf = await self._in_thread(
                    self._network.open, self._interfaces, self._info, self.changed
                )
            except Exception as error:
                if told != (told := clean(f"{type(error).__name__}: {error}", 200)):
                    self._log.warning(f"other sites cannot be discovered yet, trying on: {told}")
                failures += 1
                self._nap = pause(self._reactor, back_off(failures, MAX_WAIT_S, self._rng))
                try:
                    await self._nap
                except CancelledError:
                    return
            else:
                if not self._stopped:
                    self._log.info(f"announced to other sites as {self._info.name}")
                return

    def _note(self, zeroconf: Any, name: str, state_change: ServiceStateChange) -> None:
        """Take a change, in the reactor's thread."""
        if self._stopped:
            return
        before = self._resolving.pop(name, None)
        if before is not None:
            before.cancel()
        if state_change is ServiceStateChange.Removed:
            self._found.forget(name)
        elif len(self._resolving) < MAX_NAMES:
            resolving = Deferred.fromCoroutine(self._resolve(zeroconf, name))
            if not resolving.called:
                self._resolving[name] = resolving
            resolving.addErrback(cancelled)

    async def _resolve(self, zeroconf: Any, name: str) -> None:
        for _ in range(TRIES):
            try:
                info = await self._in_thread(self._network.resolve, zeroconf, self._info.type, name)
            except CancelledError:
                raise
            except Exception as error:
                self._tell(f"an announcement cannot be read: {type(error).__name__}: {error}")
                info = None
            if info is not None:
                self._resolving.pop(name, None)
                self._take(name, info)
                return
            await pause(self._reactor, TRY_AGAIN_S)
        self._resolving.pop(name, None)

    def _take(self, name: str, info: ServiceInfo) -> None:
        """Hand a site's addresses on, those that may be called."""
        site = (info.properties.get(b"id") or b"").decode("ascii", "replace")
        if not SITE.fullmatch(site):
            self._tell(f"an announcement without a site id is ignored: {name}")
            return
        if site == self._site:
            return
        hosts = [normal_host(host) for host in info.parsed_scoped_addresses()]
        if not any(is_loopback(host) for host in hosts):
            self._tell(f"site {site} at {', '.join(hosts)} is not called: {WHY_LOOPBACK}")
            return
        port = info.port or 0
        self._found.announce(name, [Address(h, port) for h in hosts if is_loopback(h)], site)

    def _tell(self, text: str) -> None:
        """Say it once."""
        text = clean(text)
        if text not in self._told and len(self._told) < MAX_NAMES:
            self._told.add(text)
            self._log.warning(text)


def describe(service: str, site: str, protocol: int, address: Address) -> ServiceInfo:
    """Return the announcement of a site."""
    return ServiceInfo(
        service,
        f"{site[:16]}.{service}",
        port=address.port,
        properties={"id": site, "protocol": str(protocol)},
        server=f"sahana-{site[:16]}.local.",
        parsed_addresses=[address.host],
    )

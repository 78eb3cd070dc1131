"""Finding other sites by zeroconf (``_sahana-sync._tcp.local.``): addresses, and nothing but.

- zeroconf runs in its own thread, on any reactor. What it calls only passes a name to the reactor,
  and never raises: an exception there would end its thread without a word.
- Everything that takes time (opening 0.3 s, registering 1.7 s, resolving up to 3 s, closing) runs
  in the reactor's thread pool.
- A camp boots without a network: opening is tried again in the background, for ever.
- The text record carries the device's id and the protocol, nothing about the organisation: everybody
  on the network reads it, and anybody may announce anything: who answers proves its id by TLS. The
  name is the beginning of the id, a label that may be changed on a clash.
- Sockets are a snapshot of the interfaces at the opening, and nothing of zeroconf looks again: we do, and
  announce the new addresses when they have stood still for one look (Wi-Fi flaps).
- An announcement says nothing about life: a site that was killed stays announced for up to 75
  minutes. Whether a peer is there is known from calls alone.
"""

from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from zeroconf import (
    InterfaceChoice,
    IPVersion,
    ServiceBrowser,
    ServiceInfo,
    ServiceStateChange,
    Zeroconf,
)

from relay.address import Address, normal_host
from relay.clock import Reactor, cancelled, pause
from relay.log import Log
from relay.messages import DEVICE, clean
from relay.session import MAX_WAIT_S, back_off

RESOLVE_MS = 3000
TRIES = 3
TRY_AGAIN_S = 2.0
LOOK_S = 5.0
"""Between two looks at this machine's addresses."""
MAX_NAMES = 256
MAX_ADDRESSES = 16

Handler = Callable[..., None]
InThread = Callable[..., Deferred[Any]]


class Network(Protocol):
    """What discovery needs of zeroconf; all of it blocks."""

    def open(self, interfaces: list[str], info: ServiceInfo, handler: Handler) -> Any:
        """Announce and browse; return what ``resolve`` and ``close`` take. Raises anything."""

    def resolve(self, zeroconf: Any, service: str, name: str) -> ServiceInfo | None:
        """Return the port, the addresses and the text record of a name."""

    def update(self, zeroconf: Any, interfaces: list[str], info: ServiceInfo) -> None:
        """Speak on the interfaces of now, and announce the addresses of now. Raises anything."""

    def close(self, zeroconf: Any) -> None:
        """Say goodbye and end the threads."""


class ZeroconfNetwork:
    """The real one."""

    def open(self, interfaces: list[str], info: ServiceInfo, handler: Handler) -> Zeroconf:
        """See Network. Browses first: others are found while the name is being probed."""
        zeroconf = _open_zeroconf(interfaces)
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

    def update(self, zeroconf: Zeroconf, interfaces: list[str], info: ServiceInfo) -> None:
        """See Network."""
        zeroconf.update_interfaces(interfaces or InterfaceChoice.All)
        zeroconf.update_service(info)

    def close(self, zeroconf: Zeroconf) -> None:
        """See Network."""
        zeroconf.close()


def _open_zeroconf(interfaces: list[str]) -> Zeroconf:
    """Return it on these addresses, or on all; with IPv6 where this machine has it."""
    if interfaces:
        return Zeroconf(interfaces=interfaces)
    try:
        return Zeroconf(interfaces=InterfaceChoice.All, ip_version=IPVersion.All)
    except (OSError, RuntimeError):
        return Zeroconf(interfaces=InterfaceChoice.All)


class Found(Protocol):
    """Takes what was found (``relay.neighbours``)."""

    def announce(self, source: str, addresses: list[Address], device: str) -> None:
        """The name stands for a device at these addresses."""

    def forget(self, source: str) -> None:
        """It does no longer."""


class Discovery:
    """Announces this device and hands the addresses of others to ``found``, until ``stop``."""

    def __init__(
        self,
        *,
        device: str,
        protocol: int,
        port: int,
        addresses: Callable[[], list[str]],
        moved: Callable[[], None],
        service: str,
        interfaces: tuple[str, ...],
        found: Found,
        reactor: Reactor,
        in_thread: InThread,
        rng: Random,
        log: Log,
        network: Network | None = None,
    ) -> None:
        """``addresses`` tells where this device is found, now; ``moved`` is told when that is new;
        ``in_thread`` is deferToThread."""
        self._device = device
        self._protocol = protocol
        self._port = port
        self._addresses = addresses
        self._moved = moved
        self._service = service
        self._announced: list[str] = []
        self._name = ""
        self._interfaces = list(interfaces)
        self._found = found
        self._reactor = reactor
        self._in_thread = in_thread
        self._rng = rng
        self._log = log
        self._network: Network = network or ZeroconfNetwork()
        self._zeroconf: Any = None
        self._running: Deferred[None] | None = None
        self._nap: Deferred[None] | None = None
        self._stopped = False
        self._resolving: dict[str, Deferred[None]] = {}
        self._told: set[str] = set()

    def start(self) -> None:
        """Begin to open, in the background."""
        self._running = Deferred.fromCoroutine(self._run())

    async def stop(self) -> None:
        """Say goodbye, and wait until the threads have ended."""
        self._stopped = True
        for resolving in list(self._resolving.values()):
            resolving.cancel()
        # Not the opening itself: what a thread is about to open must be closed.
        if self._nap is not None:
            self._nap.cancel()
        running, self._running = self._running, None
        if running is not None:
            await running
        await self._close()

    def changed(self, zeroconf: Any, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        """Take what the browser says, in its thread. Never raises."""
        try:
            self._reactor.callFromThread(self._note, zeroconf, name, state_change)
        except Exception:
            # The reactor is gone; so will be the browser in a moment.
            pass

    async def _run(self) -> None:
        """Open, watch over this machine's addresses; open again when that is what it takes."""
        while not self._stopped:
            await self._open()
            try:
                await self._follow_addresses()
            except Exception as error:
                self._tell(f"discovery begins anew: {type(error).__name__}: {error}")
                await self._close()
                await self._sleep(TRY_AGAIN_S)

    async def _open(self) -> None:
        failures = 0
        told = ""
        while not self._stopped:
            try:
                info = self._describe(await self._in_thread(self._addresses))
                self._zeroconf = await self._in_thread(
                    self._network.open, self._interfaces, info, self.changed
                )
            except Exception as error:
                if told != (told := clean(f"{type(error).__name__}: {error}", 200)):
                    self._log.warning(f"other sites cannot be discovered yet, trying on: {told}")
                failures += 1
                await self._sleep(back_off(failures, MAX_WAIT_S, self._rng))
            else:
                self._name = info.name
                if not self._stopped:
                    self._log.info(f"announced to other sites as {info.name}")
                return

    async def _follow_addresses(self) -> None:
        """Announce the addresses of now whenever they have changed and stand still."""
        before = self._announced
        while not self._stopped:
            await self._sleep(LOOK_S)
            if self._stopped:
                return
            now = await self._in_thread(self._addresses)
            if now == before and now != self._announced:
                info = self._describe(now, self._name)
                self._moved()
                await self._in_thread(self._network.update, self._zeroconf, self._interfaces, info)
                self._log.info(f"announced at {', '.join(now)}")
            before = now

    def _describe(self, addresses: list[str], name: str = "") -> ServiceInfo:
        self._announced = addresses
        return describe(self._service, self._device, self._protocol, self._port, addresses, name)

    async def _close(self) -> None:
        zeroconf, self._zeroconf = self._zeroconf, None
        if zeroconf is not None:
            await self._in_thread(self._network.close, zeroconf)

    async def _sleep(self, seconds: float) -> None:
        """Wait, or until the stop."""
        if self._stopped:
            return
        self._nap = pause(self._reactor, seconds)
        try:
            await self._nap
        except CancelledError:
            pass

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
                info = await self._in_thread(self._network.resolve, zeroconf, self._service, name)
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
        """Hand a device's addresses on."""
        device = (info.properties.get(b"id") or b"").decode("ascii", "replace")
        if not DEVICE.fullmatch(device):
            self._tell(f"an announcement without a device id is ignored: {name}")
            return
        hosts = [normal_host(host) for host in info.parsed_scoped_addresses()[:MAX_ADDRESSES]]
        if device == self._device:
            # Who announces this device where this machine is not has a copy of its key.
            own = {host.partition("%")[0] for host in self._announced}
            hosts = [host for host in hosts if host.partition("%")[0] not in own]
        if not hosts or not info.port:
            self._found.forget(name)
            return
        self._found.announce(name, [Address(host, info.port) for host in hosts], device)

    def _tell(self, text: str) -> None:
        """Say it once."""
        text = clean(text)
        if text not in self._told and len(self._told) < MAX_NAMES:
            self._told.add(text)
            self._log.warning(text)


def describe(
    service: str, device: str, protocol: int, port: int, addresses: list[str], name: str = ""
) -> ServiceInfo:
    """Return the announcement of a device; ``name``: the one that it has already."""
    return ServiceInfo(
        service,
        name or f"{device[:16]}.{service}",
        port=port,
        properties={"id": device, "protocol": str(protocol)},
        server=f"sahana-{device[:16]}.local.",
        parsed_addresses=addresses,
    )

# mypy: untyped-calls-exclude=twisted
"""A port for programs beside the relays' own: HTTP, or HTTPS with this device's certificate.

Who can reach it can open connections, say half a request, or nothing: such are few, few from one host, and
none lives long (``relay.door``). Whoever shows who it is, in a request's head, is known from then on and may
send a body; others have theirs refused unread.
"""

from collections.abc import Callable
from typing import Any

from OpenSSL import crypto
from twisted.internet.error import CannotListenError
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from changecapture.errors import ConfigError
from relay.address import ANY, Address
from relay.door import Door, Guest, Step
from relay.resource import BoundedRequest
from relay.trust.identity import Identity

IDLE_S = 60


class Porch:
    """Pages by name at an address, from ``start`` to ``stop``."""

    def __init__(
        self,
        address: Address,
        pages: dict[str, Resource],
        *,
        setting: str,
        reactor: Any,
        request: Callable[..., Request] = BoundedRequest,
        life_s: float,
        identity: Identity | None = None,
    ) -> None:
        """``setting`` names what to change when the port is taken; ``life_s``: of a connection of somebody
        unknown; ``identity``: of this device, to speak TLS as it."""
        self._host = "0.0.0.0" if address.host == ANY else address.host
        self._address = address
        self._setting = setting
        self._reactor = reactor
        make_root: Any = Resource
        root = make_root()
        for name, page in pages.items():
            root.putChild(name.encode(), page)
        make_site: Any = Site
        site = make_site(root, requestFactory=request, timeout=IDLE_S, reactor=reactor)
        site.noisy, site.displayTracebacks, site.log = False, False, lambda request: None
        self.door = _Door(
            site, is_paired=lambda name: True, pairs=lambda: False, clock=reactor, handshake_s=life_s
        )
        self._step = Step(self.door, make_tls(identity) if identity else None, reactor)
        self._port: Any = None

    def start(self) -> Address:
        """Listen; return where. Raises ConfigError when the port cannot be had."""
        try:
            self._port = self._reactor.listenTCP(self._address.port, self._step, interface=self._host)
        except CannotListenError as error:
            raise ConfigError(
                f"cannot listen on {self._address}",
                why=str(error.socketError),
                mend=f"set another {self._setting} port",
            ) from error
        return Address(self._host, self._port.getHost().port)

    async def stop(self) -> None:
        """Hear no more, and end what was heard."""
        if self._port is not None:
            await self._port.stopListening()
        self.door.close()


class _Door(Door):
    """A door where TLS proves nothing of who comes: its requests do; and they bound how many one has."""

    most = 1000

    def met(self, guest: Guest) -> None:
        """See Door."""


def make_tls(identity: Identity) -> Any:
    """Return what a TLS server needs to show a device's certificate; its clients show none."""
    make: Any = CertificateOptions
    return make(
        privateKey=crypto.PKey.from_cryptography_key(identity.key),
        certificate=crypto.X509.from_cryptography(identity.certificate),
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )

"""TLS 1.3 that pins device ids; nothing else of a certificate counts.

Every certificate that the other end shows must be of a device that ``accepts`` takes, so no chain
can smuggle one in; OpenSSL asks about each of them twice. Tickets and the session cache are off: a
device that is no longer paired cannot come back by resuming what it had.
"""

from collections.abc import Callable
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from zope.interface import implementer

from relay.trust.identity import Identity, fingerprint


@implementer(IOpenSSLServerConnectionCreator, IOpenSSLClientConnectionCreator)
class Contexts:
    """What Twisted asks for a connection, at either end."""

    def __init__(self, identity: Identity, accepts: Callable[[str], bool]) -> None:
        """``accepts`` is asked at each handshake, with the other end's device id."""
        self._context = make_context(identity, accepts)

    def serverConnectionForTLS(self, _: object) -> SSL.Connection:
        """Return the end that was called."""
        return SSL.Connection(self._context, None)

    def clientConnectionForTLS(self, _: object) -> SSL.Connection:
        """Return the end that calls."""
        return SSL.Connection(self._context, None)


def make_context(identity: Identity, accepts: Callable[[str], bool]) -> SSL.Context:
    """Return a context for either end."""
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.use_certificate(identity.certificate)
    context.use_privatekey(identity.key)

    def verify(_: SSL.Connection, certificate: crypto.X509, *__: int) -> bool:
        device = read_device(certificate.to_cryptography)
        return device is not None and accepts(device)

    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
    return context


def peer_device(transport: Any) -> str | None:
    """Return the device at the other end of a TLS connection; None when it has shown none yet."""
    certificate = transport.getPeerCertificate()
    return None if certificate is None else read_device(certificate.to_cryptography)


def read_device(read: Callable[[], x509.Certificate]) -> str | None:
    """Return the device id of a foreign certificate, None when it cannot be read."""
    try:
        return fingerprint(read())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None

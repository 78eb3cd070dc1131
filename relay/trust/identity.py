"""This device's key pair and its self-signed certificate, made when there is none.

The device id is the SHA-256 of the public key (SubjectPublicKeyInfo, DER), in hex: a certificate made
anew for the same key is the same device. The certificate says nothing of the site, and its dates span
all that a clock may say.
"""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from changecapture.errors import ConfigError
from relay.trust.state import read_private, write_private

FILE = "identity.pem"
SHORT = 8
"""Digits of a device id that people are shown; enough to tell some hundred devices apart."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this device is."""

    device: str
    certificate: x509.Certificate = field(repr=False)
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public_key(self) -> bytes:
        """Return the public key, raw: 32 bytes."""
        return self.key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the device id that a certificate stands for; raise ValueError or UnsupportedAlgorithm."""
    return _digest(certificate.public_key())


def verify_signature(device: str, public_key: bytes, signature: bytes, text: bytes) -> bool:
    """Return whether a text was signed by a device; the key comes with it, and must be the device's."""
    try:
        key = Ed25519PublicKey.from_public_bytes(public_key)
        key.verify(signature, text)
    except (InvalidSignature, ValueError):
        return False
    return _digest(key) == device


def load_identity(directory: Path) -> Identity:
    """Return the identity in a state directory, made now if there is none; raise ConfigError."""
    path = directory / FILE
    content = read_private(path)
    if content is None:
        content = make_identity()
        write_private(path, content)
    try:
        return read_identity(content)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{path} is damaged",
            why=str(error),
            mend="put it back from a backup; or remove it, and pair this site anew with each of its peers",
        ) from error


def read_identity(content: bytes) -> Identity:
    """Return the identity in a PEM text; raise ValueError or TypeError."""
    key = serialization.load_pem_private_key(content, None)
    certificate = x509.load_pem_x509_certificate(content)
    if not isinstance(key, Ed25519PrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("the key and the certificate do not belong together")
    return Identity(fingerprint(certificate), certificate, key)


def make_identity(key: Ed25519PrivateKey | None = None) -> bytes:
    """Return a new key and its certificate, or a new certificate of a key, as PEM text."""
    key = key or Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "changecapture")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(1970, 1, 1))
        .not_valid_after(datetime(9999, 12, 31, 23, 59, 59))
        .sign(key, None)
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)


def _digest(key: object) -> str:
    """Return the SHA-256 of a public key."""
    public: Ed25519PublicKey = key  # type: ignore[assignment]  # any kind of key has this method
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()

"""The envelope of a bundle: who it is from and for, signed, and chunks that only its addressee can read.

    changecapture bundle 1\\n
    length (4 bytes), header (JSON): from, key, to, ephemeral, id
    signature (64 bytes): of the line and the header, by the Ed25519 key of the device that it is from
    length (4 bytes), chunk; as often as there are chunks

- Secrecy: a chunk is sealed with ChaCha20-Poly1305 under a key that HKDF-SHA256 makes of an X25519 agreement
  of a key pair made for this bundle alone and the addressee's key. An Ed25519 key is an X25519 key on the
  same curve in other coordinates; age and libsodium use it so.
- Authenticity: the signature binds the bundle's own public key, and who it is for, to the sender. Nobody but
  the sender and the addressee can know the key of the chunks, so what opens is what the sender sealed.
- Whole and in order: the nonce is the number of the chunk and whether it is the last one; all of the header
  goes into the key. A chunk that was changed, moved, left out or of another bundle does not open.
- Not hidden: both device ids and the size. Who steals the addressee's key can read all bundles made for it.

A file that ends early is told apart from one that was changed: whole chunks of it are good.
"""

import json
import struct
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha512
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from changecapture.errors import PeerError
from relay.messages import BODY_LIMIT, DEVICE, SITE
from relay.trust.identity import SHORT, Identity, verify_signature

MAGIC = b"changecapture bundle 1\n"
KIND = b"changecapture bundle "
SIGNATURE_BYTES = 64
HEADER_BYTES = 4096
TAG_BYTES = 16
_PRIME = 2**255 - 19
_LENGTH = struct.Struct(">I")
DAMAGED = "the file was changed or damaged on its way"
ANEW = "copy it to the stick again, or let a new one be made"


class CutShort(Exception):
    """The file ends before the bundle does; the chunks up to there are good."""


@dataclass(frozen=True, slots=True)
class Header:
    """What anybody can read of a bundle."""

    sender: str
    key: bytes
    addressee: str
    ephemeral: bytes
    bundle: str


class Writer:
    """Seals chunks into a file."""

    def __init__(self, file: IO[bytes], identity: Identity, *, device: str, key: bytes, bundle: str) -> None:
        """Write the header of a bundle for a device with this public key; raise PeerError for no key."""
        ephemeral = X25519PrivateKey.generate()
        header = json.dumps(
            {
                "from": identity.device,
                "key": _text(identity.public_key),
                "to": device,
                "ephemeral": _text(ephemeral.public_key().public_bytes_raw()),
                "id": bundle,
            }
        ).encode()
        self._cipher = _make_cipher(ephemeral, agreement_key(key), header)
        self._file, self._number = file, 0
        file.write(MAGIC + _LENGTH.pack(len(header)) + header + identity.key.sign(MAGIC + header))

    def write(self, chunk: bytes, *, last: bool) -> None:
        """Seal the next chunk."""
        sealed = self._cipher.encrypt(_nonce(self._number, last=last), chunk, None)
        self._file.write(_LENGTH.pack(len(sealed)) + sealed)
        self._number += 1


def is_bundle(content: bytes) -> bool:
    """Return whether the beginning of a file is that of a bundle, of this version or of another."""
    return content.startswith(KIND)


def read_header(file: IO[bytes]) -> tuple[Header, bytes]:
    """Return the header of a bundle, its signature proved, and its bytes; raise PeerError."""
    found = file.read(len(MAGIC))
    if found != MAGIC:
        if is_bundle(found):
            raise PeerError("the bundle was made by another version of changecapture")
        raise PeerError("this file is no bundle")
    (length,) = _LENGTH.unpack(file.read(_LENGTH.size).ljust(_LENGTH.size, b"\xff"))
    if length > HEADER_BYTES:
        raise PeerError(DAMAGED, why="its header is malformed", mend=ANEW)
    content, signature = file.read(length), file.read(SIGNATURE_BYTES)
    header = _read_header(content)
    if not verify_signature(header.sender, header.key, signature, MAGIC + content):
        raise PeerError(DAMAGED, why="its signature does not hold", mend=ANEW)
    return header, content


def open_chunks(file: IO[bytes], identity: Identity, header: Header, content: bytes) -> Iterator[bytes]:
    """Yield the chunks that follow a header; raise PeerError for a changed one, CutShort at an early end."""
    if header.addressee != identity.device:
        raise PeerError(
            f"the bundle is for device {header.addressee[:SHORT]}, this is {identity.device[:SHORT]}",
            mend="import it at the site that it was made for",
        )
    cipher = _make_cipher(_private(identity.key), header.ephemeral, content)
    number, last = 0, False
    while not last:
        sealed = _read_sealed(file)
        try:
            chunk = cipher.decrypt(_nonce(number, last=False), sealed, None)
        except InvalidTag:
            last = True
            chunk = _open_last(cipher, number, sealed)
        yield chunk
        number += 1
    if file.read(1):
        raise PeerError(DAMAGED, why="there is more after its end", mend=ANEW)


def agreement_key(public_key: bytes) -> bytes:
    """Return the X25519 public key of an Ed25519 one; raise PeerError when it is none."""
    y = int.from_bytes(public_key, "little") & ((1 << 255) - 1)
    if len(public_key) != 32 or y in (0, 1) or y >= _PRIME - 1:
        raise PeerError("not the public key of a device")
    return ((1 + y) * pow(1 - y, -1, _PRIME) % _PRIME).to_bytes(32, "little")


def _private(key: Ed25519PrivateKey) -> X25519PrivateKey:
    return X25519PrivateKey.from_private_bytes(sha512(key.private_bytes_raw()).digest()[:32])


def _make_cipher(own: X25519PrivateKey, other: bytes, header: bytes) -> ChaCha20Poly1305:
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(other))
    except ValueError as error:
        raise PeerError(DAMAGED, why="no key can be agreed", mend=ANEW) from error
    return ChaCha20Poly1305(HKDF(SHA256(), 32, None, MAGIC + header).derive(shared))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


def _read_sealed(file: IO[bytes]) -> bytes:
    """Return the next chunk as it stands in the file."""
    prefix = file.read(_LENGTH.size)
    if len(prefix) < _LENGTH.size:
        raise CutShort
    (length,) = _LENGTH.unpack(prefix)
    if not TAG_BYTES <= length <= BODY_LIMIT:
        raise PeerError(DAMAGED, why="the length of a chunk is malformed", mend=ANEW)
    sealed = file.read(length)
    if len(sealed) < length:
        raise CutShort
    return sealed


def _open_last(cipher: ChaCha20Poly1305, number: int, sealed: bytes) -> bytes:
    try:
        return cipher.decrypt(_nonce(number, last=True), sealed, None)
    except InvalidTag:
        raise PeerError(DAMAGED, why=f"chunk {number + 1} does not open", mend=ANEW) from None


def _read_header(content: bytes) -> Header:
    try:
        item: dict[str, Any] = json.loads(content)
        header = Header(
            item["from"], b64decode(item["key"]), item["to"], b64decode(item["ephemeral"]), item["id"]
        )
        if not all(DEVICE.fullmatch(device) for device in (header.sender, header.addressee)):
            raise ValueError("not a device id")
        if not SITE.fullmatch(header.bundle) or len(header.ephemeral) != 32:
            raise ValueError("not the id of a bundle")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PeerError(DAMAGED, why="its header is malformed", mend=ANEW) from error
    return header


def _text(content: bytes) -> str:
    return b64encode(content).decode()

"""A bundle opens for its addressee, as it was sealed, and in no other way."""

import io
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from changecapture.errors import PeerError
from relay.bundle.seal import MAGIC, CutShort, Writer, _private, agreement_key, open_chunks, read_header
from relay.trust.identity import Identity, load_identity
from relay.trust.state import open_state

CHUNKS = [b"one", b"", b"three" * 100]
BUNDLE = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Identity, Identity, Identity]:
    """A sender, an addressee, a stranger."""

    def make(name: str) -> Identity:
        return load_identity(open_state(Path(tmp_path_factory.mktemp(name)) / "state"))

    return make("sender"), make("addressee"), make("stranger")


@pytest.fixture(scope="module")
def sealed(devices) -> bytes:
    sender, addressee, _ = devices
    file = io.BytesIO()
    writer = Writer(file, sender, device=addressee.device, key=addressee.public_key, bundle=BUNDLE)
    for number, chunk in enumerate(CHUNKS, start=1):
        writer.write(chunk, last=number == len(CHUNKS))
    return file.getvalue()


def unseal(content: bytes, identity: Identity) -> list[bytes]:
    file = io.BytesIO(content)
    header, found = read_header(file)
    return list(open_chunks(file, identity, header, found))


def split(content: bytes) -> list[bytes]:
    """The header with its signature, and the chunks with their lengths."""
    begin = len(MAGIC) + 4 + int.from_bytes(content[len(MAGIC) : len(MAGIC) + 4], "big") + 64
    parts = [content[:begin]]
    while begin < len(content):
        end = begin + 4 + int.from_bytes(content[begin : begin + 4], "big")
        parts.append(content[begin:end])
        begin = end
    return parts


def test_addressee_reads_what_was_sealed_and_who_sealed_it(devices, sealed):
    sender, addressee, _ = devices
    assert unseal(sealed, addressee) == CHUNKS
    header, _ = read_header(io.BytesIO(sealed))
    assert (header.sender, header.addressee, header.bundle) == (sender.device, addressee.device, BUNDLE)


def test_keys_of_both_kinds_are_one_key():
    for _ in range(50):
        key = Ed25519PrivateKey.generate()
        assert _private(key).public_key().public_bytes_raw() == agreement_key(
            key.public_key().public_bytes_raw()
        )


def test_nothing_of_the_content_stands_in_the_file(sealed):
    assert b"three" not in sealed


@pytest.mark.parametrize("other", [0, 2], ids=["the sender", "a stranger"])
def test_who_is_not_the_addressee_cannot_read_it(devices, sealed, other):
    with pytest.raises(PeerError, match="is for device"):
        unseal(sealed, devices[other])


def test_any_changed_byte_is_noticed_and_no_chunk_after_it_is_read(devices, sealed):
    for place in range(len(sealed)):
        changed = bytearray(sealed)
        changed[place] ^= 1 << (place % 8)
        read: list[bytes] = []
        with pytest.raises((PeerError, CutShort)):
            file = io.BytesIO(bytes(changed))
            header, found = read_header(file)
            for chunk in open_chunks(file, devices[1], header, found):
                read.append(chunk)
        assert read == CHUNKS[: len(read)] and len(read) < len(CHUNKS), place


def test_file_that_was_cut_gives_its_whole_chunks_and_says_so(devices, sealed):
    begins = [len(part) for part in split(sealed)]
    for place in range(begins[0], len(sealed)):
        file = io.BytesIO(sealed[:place])
        header, found = read_header(file)
        read: list[bytes] = []
        with pytest.raises(CutShort):
            for chunk in open_chunks(file, devices[1], header, found):
                read.append(chunk)
        whole = sum(sum(begins[: n + 1]) <= place for n in range(1, len(begins)))
        assert read == CHUNKS[:whole]


@pytest.mark.parametrize(
    "order", [(0, 2, 1, 3), (0, 1, 3), (0, 2, 3), (0, 1, 1, 2, 3), (0, 1, 2, 3, 3)], ids=str
)
def test_chunks_that_were_moved_left_out_or_doubled_do_not_open(devices, sealed, order):
    parts = split(sealed)
    with pytest.raises(PeerError, match="changed or damaged"):
        unseal(b"".join(parts[n] for n in order), devices[1])


def test_chunks_of_another_bundle_do_not_open(devices, sealed):
    sender, addressee, _ = devices
    file = io.BytesIO()
    other = Writer(file, sender, device=addressee.device, key=addressee.public_key, bundle=BUNDLE)
    for number, chunk in enumerate(CHUNKS, start=1):
        other.write(chunk, last=number == len(CHUNKS))
    mixed = [split(sealed)[0], *split(file.getvalue())[1:]]
    with pytest.raises(PeerError, match="does not open"):
        unseal(b"".join(mixed), addressee)


def test_header_signed_by_another_device_is_refused(devices, sealed):
    sender, addressee, stranger = devices
    forged = sealed.replace(sender.device.encode(), stranger.device.encode())
    with pytest.raises(PeerError, match="signature"):
        unseal(forged, addressee)


def test_file_of_something_else_or_of_another_version_is_refused(devices):
    for content, words in (
        (b"", "no bundle"),
        (b"PK\x03\x04", "no bundle"),
        (b"changecapture bundle 9\n", "another version"),
    ):
        with pytest.raises(PeerError, match=words):
            unseal(content, devices[1])

"""A hash tree over rows, by which two sites find the rows that differ in few bytes.

A row is two numbers of 64 bits: where it belongs, a hash of its table and key, and what it holds, a hash of
all of it. The tree has sixteen branches at each node; the digest of a node is the sum of what its rows
hold. Two sites compare the root, then only the branches that differ, and the rows themselves where few are
left. Hashes of keys are spread evenly, whatever the keys are, so the tree needs no balancing and no order.

Sixteen bytes are kept for each row. It finds damage and mistakes, not forgery: who can write rows can write
others.
"""

import struct
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

from changecapture.errors import PeerError

FEW = 24
"""Rows below a node that are listed rather than divided."""
TOP_BITS = 8
MOST = 1 << 20
"""Nodes that are looked into at once: some ten million rows that all differ, or somebody who lies."""
_PAIR = struct.Struct(">QQ")
_WRAP = (1 << 64) - 1

Prefix = tuple[int, int]
"""A node: how many bits of the place its rows share, and these bits."""
ROOT: Prefix = (0, 0)


def hash_place(table: str, key: str) -> int:
    """Return where a row belongs."""
    return int.from_bytes(blake2b(f"{table}\0{key}".encode(), digest_size=8).digest(), "big")


def hash_row(table: str, key: str, text: str) -> int:
    """Return what a row holds, from the canonical text of its values."""
    return int.from_bytes(blake2b(f"{table}\0{key}\0{text}".encode(), digest_size=8).digest(), "big")


class Side(Protocol):
    """One of the two that compare: what it tells of its rows."""

    def ask_nodes(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """Return (rows, digest) of nodes."""

    def ask_rows(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """Return (place, content) of the rows below nodes."""


class HashTree:
    """The rows of one side, in 256 parts by the first bits of their place."""

    def __init__(self) -> None:
        """Without rows."""
        self._parts = [bytearray() for _ in range(1 << TOP_BITS)]

    def add(self, place: int, content: int) -> None:
        """Add a row."""
        self._parts[place >> (64 - TOP_BITS)] += _PAIR.pack(place, content)

    def ask_nodes(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        found = []
        for prefix in prefixes:
            count = total = 0
            for _, content in self._below(prefix):
                count, total = count + 1, (total + content) & _WRAP
            found.append((count, total))
        return found

    def ask_rows(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        return sorted(pair for prefix in prefixes for pair in self._below(prefix))

    def _below(self, prefix: Prefix) -> Iterable[tuple[int, int]]:
        bits, value = prefix
        low = value << (64 - bits) if bits else 0
        high = low + (1 << (64 - bits))
        first, last = low >> (64 - TOP_BITS), (high - 1) >> (64 - TOP_BITS)
        for part in self._parts[first : last + 1]:
            if bits <= TOP_BITS:
                yield from _PAIR.iter_unpack(part)
            else:
                yield from (pair for pair in _PAIR.iter_unpack(part) if low <= pair[0] < high)


def find_differing(ours: Side, theirs: Side) -> list[int]:
    """Return the places of the rows that differ, or that one side alone has."""
    prefixes: list[Prefix] = [ROOT]
    listed: list[Prefix] = []
    while prefixes:
        here, there = ours.ask_nodes(prefixes), theirs.ask_nodes(prefixes)
        deeper: list[Prefix] = []
        for prefix, own, other in zip(prefixes, here, there, strict=True):
            if own == other:
                continue
            if max(own[0], other[0]) <= FEW or prefix[0] >= 60:
                listed.append(prefix)
            else:
                deeper += [(prefix[0] + 4, (prefix[1] << 4) | branch) for branch in range(16)]
        if len(deeper) > MOST:
            raise PeerError(f"more than {MOST} parts differ: these two have hardly a row in common")
        prefixes = deeper
    if not listed:
        return []
    rows = set(ours.ask_rows(listed)) ^ set(theirs.ask_rows(listed))
    return sorted({place for place, _ in rows})

"""The batch: what one pull or push carries, as zlib over JSON lines.

    {"protocol":1,"site":..,"epoch":..,"since":vector,"target":vector,"after":n,"position":n,"end":n,
     "mark":..,"scopes":..}                         the scopes that it is of (core/scopes.py)
    {"context":digest,"vector":vector}              contexts that the passes below mention, once each
    {"pass":[origin,epoch,pass],"context":digest}   passes that the entries below belong to
    [origin,epoch,number,pass,stamp,"base_seen",scope,table,key]     an entry, and on the next line
    {columns}                                       its columns, as they are stored

The head names the range for which the batch is complete: with all batches of one pull a receiver that
held ``since`` holds ``target``. ``after`` < position <= ``end`` are positions in the sender's changelog;
``position`` is where this batch stops; ``position`` == ``end`` ends the pull; ``mark`` is the digest of the
entry at ``end``, by which a changelog that was put back to an earlier state is told apart. base_seen is 64
bit and so travels as text; the other numbers stay below 2**53. The columns have a line of their own, so that
what is stored is what is shipped, and what is received is what is stored.

Everything here may come from a stranger: sizes are bounded, and whatever is malformed raises PeerError.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from changecapture.core.change import Entry
from changecapture.core.entries import (
    KEY_LENGTH,
    TABLE_LENGTH,
    decode_alike,
    decode_entry,
    decoder,
    dump,
    encode_entries,
    scan,
)
from changecapture.core.scopes import EVERY, Scopes, load_scopes
from changecapture.core.spare import Steps, work_out
from changecapture.core.vector import Component, Vector, dump_vector, tree_vector
from changecapture.core.wire import check_number, check_text
from changecapture.errors import PeerError

PROTOCOL = 1
MAX_BYTES = 64 * 1024 * 1024
"""A batch never unpacks to more: a larger one is refused unread."""
LARGE = 16 * 1024 * 1024
"""Characters: what is larger holds one row of long texts, or is nothing that we would send."""
LARGE_QUOTES = 4_000_000
HEAD_BYTES = 1024 * 1024
"""The first line, unpacked: two vectors."""

TOGETHER = 100
"""Entries that are read in one step: they take less than a millisecond."""

PassName = tuple[str, int, int]
"""(origin, epoch, pass)."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first line of a batch; see the module."""

    site: str
    epoch: int
    since: Vector
    target: Vector
    after: int
    position: int
    end: int
    mark: str = ""
    scopes: Scopes = EVERY

    @property
    def last(self) -> bool:
        """Return whether the pull ends with this batch."""
        return self.position >= self.end


@dataclass(frozen=True, slots=True)
class Batch:
    """A decoded batch. ``passes`` names the context digest of each pass, ``contexts`` the vectors."""

    head: Head
    entries: tuple[Entry, ...] = ()
    passes: Mapping[PassName, str] = field(default_factory=dict)
    contexts: Mapping[str, Vector] = field(default_factory=dict)


def encode_batch(batch: Batch) -> bytes:
    """Return the compressed batch."""
    head = batch.head
    lines = [
        f'{{"protocol":{PROTOCOL},"site":{json.dumps(head.site)},"epoch":{head.epoch},'
        f'"since":{dump_vector(head.since)},"target":{dump_vector(head.target)},'
        f'"after":{head.after},"position":{head.position},"end":{head.end},'
        f'"mark":{json.dumps(head.mark)},"scopes":{json.dumps(head.scopes.dump())}}}'
    ]
    for digest, vector in batch.contexts.items():
        lines.append(f'{{"context":{json.dumps(digest)},"vector":{dump_vector(vector)}}}')
    for name, digest in batch.passes.items():
        lines.append(f'{{"pass":{dump(name)},"context":{json.dumps(digest)}}}')
    lines.extend(encode_entries(batch.entries))
    return zlib.compress("\n".join(lines).encode(), 1)


def decode_batch(payload: bytes) -> Batch:
    """Return the batch; raise PeerError, with what is wrong, when it is malformed."""
    return work_out(decode_steps(payload))


def decode_steps(payload: bytes) -> Steps[Batch]:
    """Do what ``decode_batch`` does, in steps of some entries each."""
    text = _unpack(payload)
    entries: list[Entry] = []
    passes: dict[PassName, str] = {}
    contexts: dict[str, Vector] = {}
    try:
        first, place = _read_line(text, 0)
        head = _decode_head(first)
        while place < len(text):
            if text[place] == "[" and not entries:
                place += yield from _decode_together(text[place:], entries)
                if place >= len(text):
                    break
            item, place = _read_line(text, place)
            if isinstance(item, list):
                start = place
                columns, place = _read_line(text, place)
                entries.append(decode_entry(item, text[start : place - 1], columns))
            elif "pass" in item:
                passes[_decode_pass(item["pass"])] = check_text(item["context"])
            else:
                contexts[check_text(item["context"])] = tree_vector(item["vector"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise PeerError("malformed batch", why=f"{type(error).__name__}: {error}") from error
    yield
    _check_passes(entries, passes, contexts)
    return Batch(head, tuple(entries), passes, contexts)


def _decode_together(text: str, entries: list[Entry]) -> Steps[int]:
    """Read entries, some at a time, for as long as nothing is unusual; return how many characters that is."""
    lines = text.split("\n")
    done = 0
    for start in range(0, len(lines), 2 * TOGETHER):
        part = lines[start : start + 2 * TOGETHER]
        alike = decode_alike(part)
        if alike is None:
            break
        entries += alike
        done += sum(map(len, part)) + len(part)
        yield
    return done


def read_head(payload: bytes) -> Head:
    """Return the head of a batch, the rest unread; raise PeerError when there is none."""
    try:
        beginning = zlib.decompressobj().decompress(payload, HEAD_BYTES)
        line, newline, _ = beginning.partition(b"\n")
        if not newline and len(line) == HEAD_BYTES:
            raise ValueError("the head is too long")
        return _decode_head(decoder.decode(line.decode()))
    except (zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise PeerError("malformed batch", why=f"{type(error).__name__}: {error}") from error


def _read_line(text: str, start: int) -> tuple[Any, int]:
    """Return the value of the line that starts there, and where the next one starts."""
    try:
        value, end = scan(text, start)
    except StopIteration as error:
        raise ValueError(f"no JSON at character {error.value}") from None
    if text[end : end + 1] not in ("\n", ""):
        raise ValueError(f"more than one value in the line at character {start}")
    return value, end + 1


def _unpack(payload: bytes) -> str:
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(payload, MAX_BYTES)
        if unpacker.unconsumed_tail or unpacker.unused_data or not unpacker.eof:
            raise PeerError("malformed batch", why="cut short, too long, or more than 64 MiB unpacked")
        text = data.decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise PeerError("malformed batch", why=str(error)) from error
    if len(text) > LARGE and not _is_mostly_texts(text):
        raise PeerError("malformed batch", why="so much in one batch is no row")
    return text


def _is_mostly_texts(text: str) -> bool:
    """Return whether little stands outside of the texts.

    64 MiB of empty lists are 65 KB on the wire; they would take a gigabyte, and ten seconds of everybody.
    """
    bare = text.replace("\\\\", "").replace('\\"', "")
    return bare.count('"') <= LARGE_QUOTES and sum(map(len, bare.split('"')[::2])) <= LARGE


def _decode_head(item: Any) -> Head:
    if item["protocol"] != PROTOCOL:
        raise PeerError(
            f"the other site speaks protocol {item['protocol']}, this one {PROTOCOL}",
            mend="install the same version of changecapture at both sites",
        )
    head = Head(
        site=check_text(item["site"]),
        epoch=check_number(item["epoch"]),
        since=tree_vector(item["since"]),
        target=tree_vector(item["target"]),
        after=check_number(item["after"]),
        position=check_number(item["position"]),
        end=check_number(item["end"]),
        mark=check_text(item["mark"]) if item.get("mark") else "",
        scopes=load_scopes(item["scopes"]),
    )
    if head.position > head.end or (head.position <= head.after and not head.last):
        raise ValueError(f"the positions {head.after}, {head.position}, {head.end} lead nowhere")
    return head


def _decode_pass(item: Any) -> PassName:
    origin, epoch, number = item
    return check_text(origin), check_number(epoch), check_number(number)


def _check_passes(
    entries: Iterable[Entry], passes: Mapping[PassName, str], contexts: Mapping[str, Any]
) -> None:
    for entry in entries:
        digest = passes.get((entry.origin, entry.epoch, entry.pass_number))
        if digest is None:
            raise PeerError("malformed batch", why=f"the pass of entry {entry.name} is missing")
    for digest in passes.values():
        if digest not in contexts:
            raise PeerError("malformed batch", why=f"the context {digest} is missing")


__all__ = [
    "KEY_LENGTH",
    "MAX_BYTES",
    "PROTOCOL",
    "TABLE_LENGTH",
    "Batch",
    "Component",
    "Head",
    "PassName",
    "decode_batch",
    "decode_steps",
    "encode_batch",
    "encode_entries",
    "read_head",
]

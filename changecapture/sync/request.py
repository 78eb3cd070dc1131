"""The request: what a receiver asks a sender for."""

import json
from dataclasses import asdict, dataclass, replace

from changecapture.core.codec import PROTOCOL, Head, read_head
from changecapture.core.scopes import Terms, load_scopes
from changecapture.core.vector import load_vector
from changecapture.errors import PeerError
from changecapture.greeting import read_fields

BATCH_ENTRIES = 5000
"""Entries that one answer carries at most, unless the request asks for fewer."""
BATCH_CHARACTERS = 4 * 1024 * 1024
"""Characters of columns that one answer carries at most, unless a single entry has more."""
NO_TERMS = Terms()
"""Nothing is held back."""


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What a receiver asks for: what its vector does not cover, from a position on.

    ``epoch`` is the sender's, as the receiver knows it: another one makes the positions void, and so does
    another ``mark``, the name of the stretch of its log in which the last pull ended. ``end`` is 0 to begin
    a pull. ``limit`` and ``size`` bound the answer: entries, and characters of their columns (one entry may
    have more). ``scopes``: the only ones that are asked for, and that the positions hold for. ``heard``: what
    the receiver knows that the sender holds, and waits for from others (``Answer.offer``). ``run``: of the
    program that asks (``relay.runs``).
    """

    site: str
    epoch: int
    vector: str
    after: int
    end: int
    limit: int = BATCH_ENTRIES
    size: int = BATCH_CHARACTERS
    protocol: int = PROTOCOL
    mark: str = ""
    scopes: str = ""
    heard: str = "{}"
    run: str = ""

    def to_json(self) -> str:
        """Return JSON text; ``from_json`` is its inverse."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "PullRequest":
        """Return the request; raise PeerError when it is none."""
        request = cls(**read_fields(text, cls))
        load_vector(request.vector)
        load_vector(request.heard)
        load_scopes(request.scopes)
        if request.limit < 1 or request.size < 1:
            raise PeerError("malformed request", why="it asks for nothing")
        return request


def follow_request(request: PullRequest, payload: bytes) -> PullRequest | None:
    """Return what to ask for next while the answer to a request is still being received.

    None when the answer is the last, or malformed: receiving it will say so.
    """
    head = _read_head(payload)
    if head is None or head.last:
        return None
    return replace(request, epoch=head.epoch, after=head.position, end=head.end, mark=head.mark)


def follow_backlog(request: PullRequest, payload: bytes, least: int) -> PullRequest | None:
    """Return what to ask for next while the last answer about a backlog is still being received; ``request``:
    what would be asked for as long as nothing of that is here.

    None when the answer is another, one about fewer positions of the log than ``least``, or malformed.
    """
    head = _read_head(payload)
    if head is None or not head.last or head.position < head.after + least:
        return None
    return replace(request, epoch=head.epoch, after=head.position, end=0, mark=head.mark)


def _read_head(payload: bytes) -> Head | None:
    try:
        return read_head(payload)
    except PeerError:
        return None

"""The sender: what of its changelog answers a request."""

from dataclasses import dataclass

from changecapture.core.change import Entry
from changecapture.core.codec import PROTOCOL, Batch, Head, encode_batch
from changecapture.core.scopes import Scopes, Terms, load_scopes
from changecapture.core.vector import Vector, covers_name, covers_vector, digest_vector, load_vector
from changecapture.errors import PeerError, RetryLater
from changecapture.lives import leave_out_contested
from changecapture.store.interface import Store
from changecapture.sync.request import BATCH_CHARACTERS, BATCH_ENTRIES, NO_TERMS, PullRequest

NOTHING_SEEN = digest_vector({})
ATTEMPTS = 5
"""Times that a batch is made anew because the stamps in it were corrected meanwhile."""
PAGE_ENTRIES = 1000
"""Entries read at once while a batch is put together."""
LOOK_ENTRIES = 20_000
"""Entries that are read for one answer, and as many passed over at once: who asks may have most of them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A batch ready to ship, and what is in it. ``raises``: it ends a pull that raises the vector of who
    asked, with or without entries (others may have brought them, compaction may have taken them). ``third``:
    all of it is of third sites, who may bring it themselves; ``offer``: the vector of that, without what who
    asked has heard of."""

    payload: bytes
    entries: int
    last: bool
    raises: bool
    epoch: int
    position: int
    end: int
    mark: str
    third: bool
    offer: Vector


def answer(store: Store, request: PullRequest, terms: Terms = NO_TERMS) -> Answer:
    """Return the next batch for a request."""
    if request.protocol != PROTOCOL:
        raise PeerError(f"the other site speaks protocol {request.protocol}, this one {PROTOCOL}")
    scopes = load_scopes(request.scopes)
    if not terms.send.covers(scopes):
        raise PeerError("modules were asked for that this site does not send there")
    for _ in range(ATTEMPTS):
        with store.snapshot():
            batch = _make_batch(store, request, scopes)
            site, life = store.read_site(), store.read_life()
        ours = (e.number for e in batch.entries if (e.origin, e.epoch) == (site.origin, site.epoch))
        third = bool(batch.entries) and all(e.origin != site.origin for e in batch.entries)
        newest = max(ours, default=0)
        if newest <= life["shipped"] or store.ship_numbers(site.epoch, newest, life["corrected"]):
            head = batch.head
            return Answer(
                encode_batch(batch),
                len(batch.entries),
                head.last,
                head.last and not covers_vector(head.since, head.target),
                head.epoch,
                head.position,
                head.end,
                head.mark,
                third and not covers_vector(head.since, head.target),
                _find_unheard(request, head.target),
            )
    raise RetryLater("the stamps of what is to be shipped are being corrected")


def offer(store: Store, request: PullRequest) -> Vector:
    """Return what is held here of what is asked for, and neither held nor heard of by who asks."""
    return _find_unheard(request, load_scopes(request.scopes).of(store.read_vector()))


def _find_unheard(request: PullRequest, held: Vector) -> Vector:
    since, heard = load_vector(request.vector), load_vector(request.heard)
    return {c: n for c, n in held.items() if n > max(since.get(c, 0), heard.get(c, 0))}


def _make_batch(store: Store, request: PullRequest, scopes: Scopes) -> Batch:
    site, vector, since = store.read_site(), scopes.of(store.read_vector()), load_vector(request.vector)
    known = request.epoch == site.epoch and is_log_of(store, request.after, request.end, request.mark)
    after = request.after if known else 0
    resumed = known and request.end >= max(1, store.read_compaction().reached)
    end = request.end if resumed else store.last_position()
    found, position = _take_entries(store, since, scopes, after, end, request)
    entries = leave_out_contested(store, found)
    wanted = {(e.origin, e.epoch, e.pass_number) for e in entries}
    passes, contexts = store.read_passes(wanted), store.read_contexts(wanted)
    return Batch(
        Head(site.origin, site.epoch, since, vector, after, position, end, store.read_stretch(end), scopes),
        tuple(entries),
        # A pass is gone only where its author gave passes no order: nothing is known to have been seen then.
        {name: passes.get(name, NOTHING_SEEN) for name in wanted},
        {passes.get(name, NOTHING_SEEN): contexts.get(name, {}) for name in wanted},
    )


def is_log_of(store: Store, after: int, end: int, mark: str) -> bool:
    """Return whether the positions in a request are those of this changelog, as far as the request has come.

    It may have been put back to an earlier state since. Where that cannot be told the pull begins anew, and
    what the receiver holds is passed over.
    """
    reached = end or after
    return reached == 0 or (mark != "" and mark == store.read_stretch(reached))


def _take_entries(
    store: Store, since: Vector, scopes: Scopes, after: int, end: int, request: PullRequest
) -> tuple[list[Entry], int]:
    """Return entries that ``since`` does not cover, up to a number and a size, and the position reached."""
    most, largest = min(request.limit, BATCH_ENTRIES), min(request.size, BATCH_CHARACTERS)
    found: list[Entry] = []
    size = looked = asked = 0
    while looked < LOOK_ENTRIES:
        page = store.read_entries(after, end, min(PAGE_ENTRIES, most))
        if not page:
            return found, end
        looked += PAGE_ENTRIES
        for position, entry in page:
            if entry.scope in scopes and not _covers(since, entry):
                size += len(entry.columns)
                if len(found) == most or (found and size > largest):
                    return found, after
                found.append(entry)
            after = position
        if not found and after >= asked:
            asked = min(after + LOOK_ENTRIES, end)
            if not _has_news(store, since, scopes, after, asked):
                after = asked
    return found, after


def _has_news(store: Store, since: Vector, scopes: Scopes, after: int, end: int) -> bool:
    """Return whether a part of the log has anything of these scopes that ``since`` does not cover."""
    reach = store.read_reach(after, end)
    return any(number > since.get(part, 0) for part, number in reach.items() if part[2] in scopes)


def _covers(since: Vector, entry: Entry) -> bool:
    return covers_name(since, entry.origin, entry.epoch, entry.scope, entry.number)

"""Sync: what two sites say to each other.

A pull is a few requests: the receiver names its vector and where it stands in the sender's changelog;
the sender answers with the next entries that the vector does not cover. With its first answer the sender
names the end of the pull and its own vector, the target; the receiver's vector is raised to the target
only when that end is reached (R11). Until then it resumes by (sender, epoch, position) and keeps what
it has. Resending is harmless: entries have names.

A push is the same with the other end calling: the receiver tells its request, the sender answers it. A
batch that does not follow the last one (it came twice, or a pull and a push crossed) is ``OutOfStep``:
nothing of it is taken, and the next request says where to go on.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from changecapture.apply import Applied, apply_entries
from changecapture.coming import Coming, Part
from changecapture.core.change import Entry
from changecapture.core.codec import (
    PROTOCOL,
    Batch,
    Head,
    encode_batch,
    read_head,
)
from changecapture.core.scopes import Scopes, Terms, load_scopes, name_progress
from changecapture.core.vector import (
    Vector,
    covers_name,
    covers_vector,
    digest_vector,
    dump_vector,
    load_vector,
)
from changecapture.errors import OutOfStep, PeerError, RetryLater
from changecapture.greeting import read_fields
from changecapture.lives import Renamed, claim_target, rename_contested
from changecapture.store.interface import Store
from changecapture.store.records import Met, Progress

NOTHING_SEEN = digest_vector({})
ATTEMPTS = 5
"""Times that a batch is made anew because the stamps in it were corrected meanwhile."""
BATCH_ENTRIES = 5000
"""Entries that one answer carries at most, unless the request asks for fewer."""
PAGE_ENTRIES = 1000
"""Entries read at once while a batch is put together."""
BATCH_CHARACTERS = 4 * 1024 * 1024
"""Characters of columns that one answer carries at most, unless a single entry has more."""
LOOK_ENTRIES = 20_000
"""Entries that are read for one answer, and as many passed over at once: who asks may have most of them."""
NO_TERMS = Terms()
"""Nothing is held back."""
BUNDLE = "/bundle"
"""Ends the name of a pull that comes in a file (``relay.bundle``): its progress is its own."""


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


@dataclass(frozen=True, slots=True)
class Received:
    """What a batch came to here."""

    entries: int
    applied: int
    parked: int
    last: bool
    carried: int = 0
    """Entries in the batch, known ones included."""
    brought: int = 0
    """Parts of the vector that were not known here (``Terms.room``)."""


def next_request(store: Store, peer: str, terms: Terms = NO_TERMS) -> PullRequest:
    """Return what to ask a peer for next."""
    site, progress = store.read_site(), store.read_progress(name_progress(peer, terms.asked))
    return PullRequest(
        site=site.origin,
        epoch=progress.epoch,
        vector=dump_vector(store.read_vector()),
        after=progress.position,
        end=progress.end,
        mark=store.read_met(name_progress(peer, terms.asked)).mark,
        scopes=terms.asked.dump(),
    )


def follow_request(request: PullRequest, payload: bytes) -> PullRequest | None:
    """Return what to ask for next while the answer to a request is still being received.

    None when the answer is the last, or malformed: receiving it will say so.
    """
    try:
        head = read_head(payload)
    except PeerError:
        return None
    if head.last:
        return None
    return replace(request, epoch=head.epoch, after=head.position, end=head.end, mark=head.mark)


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
    entries, position = _take_entries(store, since, scopes, after, end, request)
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


def receive(
    store: Store, peer: str, payload: bytes | Coming, terms: Terms = NO_TERMS, way: str = ""
) -> Received:
    """Apply a batch of a peer; raise PeerError when it is malformed or does not fit what is here.

    ``payload``: also as it was expected (``expect``). ``way``: '' over the network, else BUNDLE."""
    coming = Coming(store, payload) if isinstance(payload, bytes) else payload
    batch = coming.read()
    head = batch.head
    if head.scopes != terms.asked:
        raise OutOfStep("the batch is of other modules than those that may be exchanged now")
    name = name_progress(peer, terms.asked) + way
    progress, met = store.read_progress(name), store.read_met(name)
    if head.site != peer:
        raise PeerError(f"the batch is from {head.site}, not from {peer}")
    if not covers_vector(store.read_vector(), head.since):
        raise PeerError(
            "the batch begins above what is here",
            why="the other site believes that this one holds more than it does",
        )
    if head.epoch != progress.epoch and head.after != 0:
        raise OutOfStep("the batch does not begin at the beginning of a new epoch")
    if head.epoch == progress.epoch and head.after != progress.position:
        again = head.after == 0 and (head.end, head.mark) != (progress.end or progress.position, met.mark)
        if not again:
            raise OutOfStep(
                "the batch does not follow the last one",
                why=f"it begins at {head.after}, the last one ended at {progress.position}",
            )
    _check_own(store, batch)
    _check_scopes(store, batch, terms)
    _check_room(store, batch, terms)
    with store.lock():
        return _apply(store, coming, rename_contested(store, batch), progress, met)


def expect(store: Store, payload: bytes) -> Coming:
    """Have a payload worked at while the database works at what comes before it."""
    coming = Coming(store, payload)
    store.spare.add(coming)
    return coming


def _check_scopes(store: Store, batch: Batch, terms: Terms) -> None:
    """Refuse what is not of the modules that are taken, by its origin's profile or by ours."""
    named = {entry.scope for entry in batch.entries} | {scope for _, _, scope in batch.head.target}
    tables = {entry.table for entry in batch.entries}
    here = {store.tables_by_wire[table].scope for table in tables if table in store.tables_by_wire}
    refused = {s for s in named if s not in terms.asked} | {s for s in here if s not in terms.accept}
    if refused:
        raise PeerError(
            f"the other site sends modules that are not taken from it: {', '.join(sorted(refused))}",
            mend="changecapture-relay limit --accept says which are",
        )


def _check_room(store: Store, batch: Batch, terms: Terms) -> None:
    """Refuse more origins than are taken from one peer: every site has to know each of them for ever."""
    brought = _count_new(store, batch.head.target)
    if terms.room is not None and brought > terms.room:
        raise PeerError(
            f"the other site brings {brought} origins and modules that nobody here knew, "
            f"and {terms.room} are taken from it",
            why="it invents them, or more sites than usual stand behind it",
            mend="if it is to be trusted: a greater [limits] origins in the relay's configuration",
        )


def _count_new(store: Store, target: Vector) -> int:
    """Return how many parts of a vector are not in ours."""
    held = store.read_vector()
    return sum(component not in held for component in target)


def _check_own(store: Store, batch: Batch) -> None:
    """Refuse entries under our own name that we have not made: were they kept, their numbers would be
    taken when we come to them, and nothing could be published any more."""
    site = store.read_site()
    own = [e.number for e in batch.entries if (e.origin, e.epoch) == (site.origin, site.epoch)]
    claimed = [n for (o, e, _), n in batch.head.target.items() if (o, e) == (site.origin, site.epoch)]
    if max([*own, *claimed], default=0) > site.last_number:
        raise PeerError(
            "the other site has changes of this one that this one has not made",
            why="this database was restored from a backup or copied, or the other site lies",
            mend="nothing was changed; it is mended when the two greet each other again",
        )


def _apply(store: Store, coming: Coming, renamed: Renamed, progress: Progress, met: Met) -> Received:
    batch = renamed.batch
    head, entries = batch.head, list(batch.entries)
    place = progress.epoch, progress.position, progress.end
    resumed = progress.end and (head.epoch, head.after, head.end) == place
    target = load_vector(progress.target) if resumed else head.target
    after = replace(
        progress,
        epoch=head.epoch,
        position=head.position,
        end=0 if head.last else head.end,
        target="{}" if head.last else dump_vector(target),
        contact_at=store.read_clock(),
        received=progress.received + len(entries),
    )

    def record() -> None:
        store.write_progress(after)
        if met.mark != head.mark:
            store.write_met(replace(met, mark=head.mark))
        store.write_vector(renamed.claimed)
        store.write_contested(renamed.contested)
        if head.last:
            claim_target(store, target)

    idle = met.mark == head.mark and _is_idle(store, progress, after, target)
    if not entries and head.last and idle:
        return Received(0, 0, 0, True)
    brought = _count_new(store, target) if head.last else 0
    total = _apply_parts(store, batch, coming.divide(batch.entries), record)
    return Received(total.entries, total.applied, total.parked, head.last, len(entries), brought)


def _apply_parts(store: Store, batch: Batch, parts: Sequence[Part], record: Callable[[], None]) -> Applied:
    """Apply a batch, a part at a time; while the database works at one, the next are made ready."""
    ready = [part.ready for part in parts]
    store.spare.put_first(ready)
    done: list[Applied] = []
    try:
        for part in parts:
            first, last = not done, len(done) == len(parts) - 1
            done.append(
                apply_entries(
                    store,
                    part.entries,
                    batch.passes if first else {},
                    batch.contexts if first else {},
                    record if last else lambda: None,
                    part.ready,
                )
            )
    finally:
        store.spare.drop(ready)
    return Applied(*map(sum, zip(*((d.entries, d.applied, d.parked) for d in done), strict=True)))


def _is_idle(store: Store, before: Progress, after: Progress, target: Vector) -> bool:
    """Return whether a batch without entries would change nothing that is kept."""
    same = (before.epoch, before.position, before.end) == (after.epoch, after.position, after.end)
    return same and covers_vector(store.read_vector(), target)


def _covers(since: Vector, entry: Entry) -> bool:
    return covers_name(since, entry.origin, entry.epoch, entry.scope, entry.number)

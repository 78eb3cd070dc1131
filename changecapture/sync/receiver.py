"""The receiver: what it asks for next, and how it takes what it is sent."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from changecapture.apply import Applied, apply_entries
from changecapture.coming import Coming, Part
from changecapture.core.codec import Batch
from changecapture.core.scopes import Terms, name_progress
from changecapture.core.vector import Vector, covers_vector, dump_vector, load_vector
from changecapture.errors import OutOfStep, PeerError
from changecapture.lives import Renamed, leave_unused, rename_contested
from changecapture.store.interface import Store
from changecapture.store.records import Met, Progress
from changecapture.sync.request import NO_TERMS, PullRequest

BUNDLE = "/bundle"
"""Ends the name of a pull that comes in a file (``relay.bundle``): its progress is its own."""


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
    _check_scopes(store, batch, terms)
    _check_room(store, batch, terms)
    with store.lock():
        _check_own(store, batch)
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
    taken when we come to them, and nothing could be published any more. An epoch that we have not used is
    left to them."""
    site = store.read_site()
    own = [e.number for e in batch.entries if (e.origin, e.epoch) == (site.origin, site.epoch)]
    claimed = [n for (o, e, _), n in batch.head.target.items() if (o, e) == (site.origin, site.epoch)]
    if max([*own, *claimed], default=0) > site.last_number and not leave_unused(store):
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
            store.write_vector(target)

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
